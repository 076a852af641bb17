#include "tests/unit/queued/harness.h"

using namespace tambo;
using namespace tambo::test;

namespace {

task<> stop_late(Running& running, bool& late) {
    co_await sleep_ms(running.nursery, 5000);
    late = true;
    running.loop.stop();
}

} // namespace

TEST_CASE("what holds when it is looked at for the second time is not waited for") {
    Running running;
    bool late = false;
    running.nursery.spawn(stop_late(running, late));
    int looks = 0;
    running.until([&] { return ++looks > 1; });
    CHECK_FALSE(late);
    running.finish();
}
