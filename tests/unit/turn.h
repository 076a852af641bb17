// For tests that turn their loop by hand.
#pragma once

#include "common/event/loop.h"

namespace tambo {

// One turn of the loop: everything that is ready runs, nothing is waited for.
inline void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

} // namespace tambo
