// See service.h.
#include "relayd/service.h"

#include "common/base/check.h"
#include "common/sys/log.h"

#include <algorithm>
#include <utility>

namespace tambo::relayd {

namespace {

std::shared_ptr<const TlsContexts> make_contexts(const std::string& ca_pem) {
    TlsClientConfig config;
    config.ca_pem = ca_pem;
    auto opportunistic = TlsContext::client(config);
    config.verify = TlsVerify::required;
    auto required = TlsContext::client(config);
    if (!opportunistic || !required) {
        log::Event("relay.ca_bundle_unusable", log::Level::error)
            .with("reason", required ? opportunistic.error() : required.error());
        return nullptr;
    }
    return std::make_shared<const TlsContexts>(
        TlsContexts{std::move(*opportunistic), std::move(*required)});
}

// Without trusted roots: TLS still hides the mail, and no server can be verified.
std::shared_ptr<const TlsContexts> untrusting_contexts() {
    auto opportunistic = TlsContext::client(TlsClientConfig());
    check(opportunistic.ok(), "a TLS context without roots");
    const auto& context = *opportunistic;
    return std::make_shared<const TlsContexts>(TlsContexts{context, context, false});
}

} // namespace

struct Service::Settings {
    Settings(conf::RelaydConfig c, std::vector<std::string> local_addresses)
        : config(std::move(c)), ourselves(config, std::move(local_addresses)) {}
    conf::RelaydConfig config;
    ConfiguredOurselves ourselves;
};

Service::Service(
    Nursery& nursery, NameService& names, Clock& clock, Random& random, const Timeouts& timeouts)
    : nursery_(nursery), names_(names), clock_(clock), random_(random), timeouts_(timeouts),
      pool_(nursery), contexts_(untrusting_contexts()), free_(nursery) {}

Service::~Service() = default;

void Service::configure(conf::RelaydConfig config, std::vector<std::string> local_addresses) {
    settings_ = std::make_shared<const Settings>(std::move(config), std::move(local_addresses));
    free_.pulse();
}

void Service::set_trusted(std::string ca_pem) {
    ca_pem_ = std::move(ca_pem);
    if (ca_pem_.empty()) contexts_ = untrusting_contexts();
}

std::shared_ptr<const TlsContexts> Service::contexts() {
    if (!ca_pem_.empty()) {
        contexts_ = make_contexts(std::exchange(ca_pem_, {}));
        if (!contexts_) contexts_ = untrusting_contexts();
    }
    return contexts_;
}

task<ipc::RelayDone> Service::relay(ipc::Relay job) {
    check(settings_ != nullptr, "configured before it serves");
    ++running_;
    struct Running {
        Service& service;
        ~Running() { service.finished(); }
    } running{*this};
    while (running_at_once_ >= std::max<int64_t>(1, settings_->config.sessions_max)) {
        co_await free_.wait();
    }
    struct Slot {
        Service& service;
        explicit Slot(Service& s) : service(s) { service.running_at_once_++; }
        ~Slot() {
            service.running_at_once_--;
            service.free_.pulse();
        }
    } slot(*this);
    const auto settings = settings_;
    const auto contexts = this->contexts();
    const Delivery::World world{nursery_, names_,           settings->ourselves, random_,  clock_,
                                pool_,    settings->config, *contexts,           timeouts_};
    Delivery delivery(world, std::move(job));
    auto done = co_await delivery.run();
    co_return done;
}

void Service::finished() {
    --running_;
    if (draining_ && running_ == 0 && on_drained_) nursery_.loop().post(on_drained_);
}

std::vector<uint16_t> Service::ports() const {
    std::vector<uint16_t> ports{settings_->config.port};
    const uint16_t other = settings_->config.smarthost.port;
    if (other != 0 && other != ports[0]) ports.push_back(other);
    return ports;
}

void Service::drain(std::function<void()> done) {
    draining_ = true;
    on_drained_ = std::move(done);
    pool_.shut();
    if (running_ == 0) nursery_.loop().post(on_drained_);
}

} // namespace tambo::relayd
