// See pool.h.
#include "relayd/pool.h"

#include "common/base/limits.h"

#include <algorithm>

namespace tambo::relayd {

namespace {
constexpr size_t kIdleMax = 64;
constexpr int64_t kGoodbyeMs = 5'000; // RFC 5321 4.5.3.2 allows minutes; nothing depends on it
} // namespace

struct Pool::Idle {
    std::string place;
    std::unique_ptr<Connection> connection; // moved out when taken
    Waiting::iterator self;
};

std::unique_ptr<Connection> Pool::take(const std::string& place) {
    // The one that came last has waited least.
    const auto found = std::ranges::find_if(waiting_.rbegin(), waiting_.rend(),
                                            [&](const auto& idle) { return idle->place == place; });
    if (found == waiting_.rend()) return nullptr;
    const auto idle = *found;
    waiting_.erase(idle->self);
    auto connection = std::move(idle->connection);
    connection->stream().wake(); // keep() wakes up and finds nothing
    return connection;
}

void Pool::put(const std::string& place, std::unique_ptr<Connection> connection) {
    const bool old = connection->messages >= limits::relay_reuse_messages ||
                     Loop::monotonic_ms() - connection->opened_at_ms >= limits::relay_reuse_ms;
    if (shut_ || old || !connection->idle() || waiting_.size() >= kIdleMax) {
        close(std::move(connection));
        return;
    }
    auto idle = std::make_shared<Idle>();
    idle->place = place;
    idle->connection = std::move(connection);
    idle->self = waiting_.insert(waiting_.end(), idle);
    nursery_.spawn(keep(idle));
}

task<> Pool::keep(std::shared_ptr<Idle> idle) {
    struct Leaving { // also when cancelled, or when the server hangs up
        Pool& pool;
        Idle& idle;
        ~Leaving() {
            if (!idle.connection) return;
            pool.waiting_.erase(idle.self);
            pool.close(std::move(idle.connection));
        }
    } leaving{*this, *idle};
    idle->connection->stream().set_deadline(0);
    const auto what = co_await idle->connection->stream().wait_input(limits::relay_idle_ms);
    // Taken meanwhile, or: nobody asked it anything, so whatever it says is its last word.
    if (idle->connection && what == net::Wait::input) idle->connection->give_up();
}

void Pool::close(std::unique_ptr<Connection> connection) {
    if (!connection->usable() || nursery_.cancelled()) return;
    nursery_.spawn(say_goodbye(std::move(connection)));
}

task<> Pool::say_goodbye(std::shared_ptr<Connection> connection) {
    connection->put("QUIT");
    co_await connection->reply("the reply to QUIT", kGoodbyeMs);
    connection->stream().finish();
}

void Pool::shut() {
    shut_ = true;
    for (const auto& idle : waiting_)
        idle->connection->stream().wake();
}

} // namespace tambo::relayd
