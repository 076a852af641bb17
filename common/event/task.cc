#include "common/event/task.h"

#include <array>
#include <new>

namespace tambo::detail {

#if !defined(TAMBO_SANITIZED)
namespace {

constexpr size_t kClassBytes = 64;
constexpr size_t kClasses = 32;

struct FreeNode {
    FreeNode* next;
};

thread_local std::array<FreeNode*, kClasses> free_lists{};

} // namespace
#endif

void* FrameAllocator::operator new(size_t bytes) {
#if !defined(TAMBO_SANITIZED)
    const size_t index = (bytes + kClassBytes - 1) / kClassBytes;
    if (index < kClasses) {
        if (FreeNode* node = free_lists[index]) {
            free_lists[index] = node->next;
            return node;
        }
        return ::operator new(index * kClassBytes);
    }
#endif
    return ::operator new(bytes);
}

void FrameAllocator::operator delete(void* frame, size_t bytes) {
#if !defined(TAMBO_SANITIZED)
    const size_t index = (bytes + kClassBytes - 1) / kClassBytes;
    if (index < kClasses) {
        auto* node = static_cast<FreeNode*>(frame);
        node->next = free_lists[index];
        free_lists[index] = node;
        return;
    }
#endif
    static_cast<void>(bytes);
    ::operator delete(frame);
}

} // namespace tambo::detail
