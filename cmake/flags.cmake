# Compiler flags shared by every target. Hardening: RULES.md C3.
add_library(tambo_flags INTERFACE)
target_include_directories(tambo_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(tambo_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -fstack-protector-strong -D_GLIBCXX_ASSERTIONS)
target_compile_definitions(tambo_flags INTERFACE _GNU_SOURCE TAMBO_VERSION="${PROJECT_VERSION}")
if(TAMBO_WERROR)
  target_compile_options(tambo_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # clang 14 has no -ftrivial-auto-var-init=zero without a switch that says it will go.
  target_compile_options(tambo_flags INTERFACE -fcf-protection -fstack-clash-protection
    -ftrivial-auto-var-init=zero)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 loses a by-value argument that is moved from a coroutine's local at -O2 with PRE
    # (found in queued: tests/unit/queued in the release build crashed without this).
    target_compile_options(tambo_flags INTERFACE -fno-tree-pre)
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False under sanitizers, and in libstdc++ itself with -ftrivial-auto-var-init.
  target_compile_options(tambo_flags INTERFACE -Wno-maybe-uninitialized)
endif()
if(TAMBO_SANITIZE)
  target_compile_options(tambo_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # clang 14 cannot assemble coroutines with it and fuzzer-no-link.
    target_compile_options(tambo_flags INTERFACE -fno-sanitize=function)
  endif()
  target_link_options(tambo_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(tambo_flags INTERFACE TAMBO_SANITIZED=1)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # clang 14 makes no object file of a coroutine under this one ("difference across sections").
    target_compile_options(tambo_flags INTERFACE -fno-sanitize=function)
  endif()
elseif(TAMBO_TSAN)
  target_compile_options(tambo_flags INTERFACE -fsanitize=thread)
  target_link_options(tambo_flags INTERFACE -fsanitize=thread)
  target_compile_definitions(tambo_flags INTERFACE TAMBO_SANITIZED=1)
else()
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(tambo_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
  target_link_options(tambo_flags INTERFACE -pie -Wl,-z,relro,-z,now -Wl,--as-needed)
endif()
if(TAMBO_FUZZ)
  target_compile_options(tambo_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
