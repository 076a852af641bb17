#include "common/tls/server_tls.h"

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "common/tls/keyd_codec.h"

#include <algorithm>
#include <system_error>

namespace tambo {

namespace {

constexpr std::string_view kPrefix = "certificate:";
constexpr size_t kFileBytesMax = 256 * 1024;
// Long enough for the rest of a list that is on its way, short enough for nobody to notice.
constexpr int64_t kListComplete_ms = 200;

void warn(std::string_view service, std::string_view why) {
    log::Event("tls.warning", log::Level::warning).with("service", service).with("why", why);
}

// The context's own reading of the chain comes later and reports what is wrong with it.
uint32_t id_of(std::string_view service, const std::string& chain_pem) {
    const auto chain = parse_certificate_chain(chain_pem);
    if (!chain) return 0;
    for (const auto& why : chain_warnings(*chain, SystemClock().now()))
        warn(service, why);
    return key_id(chain->front().public_key);
}

} // namespace

ServerTls::ServerTls(Loop& loop, std::string service, std::vector<std::string> alpn)
    : service_(std::move(service)), alpn_(std::move(alpn)),
      signer_(std::make_shared<DatagramSigner>(keyd_codec())),
      rebuild_timer_(
          loop, [](void* self) { static_cast<ServerTls*>(self)->rebuild(); }, this) {}

void ServerTls::attach(ipc::Boot& boot, ipc::Control& control) {
    control.bind_socket("keyd", [this](UniqueFd socket) { connect_keyd(std::move(socket)); });
    for (int i = 1;; ++i) {
        const auto name = cat(kPrefix, i);
        const UniqueFd file = boot.take_file(name);
        if (!file) break;
        take_file(name, file);
    }
    rebuild();
}

void ServerTls::connect_keyd(UniqueFd socket) {
    signer_->connect(std::move(socket));
}

bool ServerTls::take_file(std::string_view name, const UniqueFd& file) {
    if (!name.starts_with(kPrefix)) return false;
    if (name.substr(kPrefix.size()) == "1") chains_.clear();
    try {
        chains_.push_back(read_whole(file.get(), kFileBytesMax, std::string(name)));
    } catch (const std::system_error& e) {
        warn(service_, e.what());
        chains_.emplace_back(); // refused by rebuild(): the old context stays
    }
    rebuild_timer_.arm(kListComplete_ms);
    return true;
}

void ServerTls::rebuild() {
    rebuild_timer_.disarm();
    TlsServerConfig config;
    config.service = service_;
    config.alpn = alpn_;
    config.signer = signer_;
    for (const auto& chain : chains_)
        config.certificates.push_back({chain, id_of(service_, chain)});
    auto context = TlsContext::server(config);
    if (!context) {
        log::Event("tls.refused", log::Level::error)
            .with("service", service_)
            .with("why", context.error());
        return;
    }
    context_ = std::move(*context);
    log::Event("tls.ready")
        .with("service", service_)
        .with("certificates", static_cast<int64_t>(chains_.size()));
}

} // namespace tambo
