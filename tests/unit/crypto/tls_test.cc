#include "common/crypto/tls.h"

#include "tests/unit/crypto/tls_pair.h"

using namespace tambo;
using namespace tambo::test;

TEST_CASE("first light") {
    TlsPair pair(server_context(server_config(ec_key())), client_context());
    pair.require_handshake();
    CHECK(pair.client.info().version == "TLSv1.3");
    CHECK(pair.client.info().peer_verified);
    TlsPair rsa(server_context(server_config(rsa_key())), client_context());
    rsa.require_handshake();
    CHECK(rsa.client.info().peer_verified);
}
