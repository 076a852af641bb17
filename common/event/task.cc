#include "common/event/task.h"

#include <array>
#include <new>

namespace tambo::detail {

#if !defined(TAMBO_SANITIZED)
namespace {

constexpr size_t kClassBytes = 64;
constexpr size_t kClasses = 32;
// Of one class; what a flood of sessions has needed goes back.
constexpr size_t kKeptBytes = 64 * 1024;

struct FreeNode {
    FreeNode* next;
};

thread_local std::array<FreeNode*, kClasses> free_lists{};
thread_local std::array<size_t, kClasses> kept_bytes{};

} // namespace
#endif

void* FrameAllocator::operator new(size_t bytes) {
#if !defined(TAMBO_SANITIZED)
    const size_t index = (bytes + kClassBytes - 1) / kClassBytes;
    if (index < kClasses) {
        if (FreeNode* node = free_lists[index]) {
            free_lists[index] = node->next;
            kept_bytes[index] -= index * kClassBytes;
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
    if (index < kClasses && kept_bytes[index] < kKeptBytes) {
        auto* node = static_cast<FreeNode*>(frame);
        node->next = free_lists[index];
        free_lists[index] = node;
        kept_bytes[index] += index * kClassBytes;
        return;
    }
#endif
    static_cast<void>(bytes);
    ::operator delete(frame);
}

} // namespace tambo::detail
