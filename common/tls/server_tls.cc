#include "common/tls/server_tls.h"

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "common/tls/keyd_codec.h"

#include <system_error>
#include <utility>

namespace tambo {

namespace {

constexpr std::string_view kPrefix = "certificate:";
constexpr size_t kFileBytesMax = 256 * 1024;

void warn(std::string_view service, std::string_view why) {
    log::Event("tls.warning", log::Level::warning).with("service", service).with("why", why);
}

// What is wrong with the chain is reported by the context's own reading of it.
uint32_t id_of(std::string_view service, const std::string& chain_pem) {
    const auto chain = parse_certificate_chain(chain_pem);
    if (!chain) return 0;
    for (const auto& why : chain_warnings(*chain, SystemClock().now()))
        warn(service, why);
    return key_id(chain->front().public_key);
}

} // namespace

ServerTls::ServerTls(std::string service, std::vector<std::string> alpn)
    : service_(std::move(service)), alpn_(std::move(alpn)),
      signer_(std::make_shared<DatagramSigner>(keyd_codec())) {}

void ServerTls::attach(ipc::Boot& boot, ipc::Control& control) {
    control.bind_socket("keyd", [this](UniqueFd socket) { connect_keyd(std::move(socket)); });
    for (int i = 1;; ++i) {
        const auto name = cat(kPrefix, i);
        const UniqueFd file = boot.take_file(name);
        if (!file) break;
        take_file(name, file);
    }
    apply();
}

void ServerTls::connect_keyd(UniqueFd socket) {
    signer_->connect(std::move(socket));
}

bool ServerTls::take_file(std::string_view name, const UniqueFd& file) {
    if (!name.starts_with(kPrefix)) return false;
    try {
        chains_.push_back(read_whole(file.get(), kFileBytesMax, std::string(name)));
    } catch (const std::system_error& e) {
        warn(service_, e.what());
        chains_.emplace_back(); // refused by apply()
    }
    return true;
}

void ServerTls::apply() {
    if (chains_.empty()) return;
    TlsServerConfig config;
    config.service = service_;
    config.alpn = alpn_;
    config.signer = signer_;
    for (auto& chain : std::exchange(chains_, {})) {
        const uint32_t id = id_of(service_, chain);
        config.certificates.push_back({std::move(chain), id});
    }
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
        .with("certificates", static_cast<int64_t>(config.certificates.size()));
}

} // namespace tambo
