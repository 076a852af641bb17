#include "common/crypto/socket_bio.h"

#include "common/base/check.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tambo {

namespace {

SocketState& state_of(BIO* bio) {
    return *static_cast<SocketState*>(BIO_get_data(bio));
}

int read_socket(BIO* bio, char* data, size_t capacity, size_t* got) {
    SocketState& state = state_of(bio);
    BIO_clear_retry_flags(bio);
    *got = 0;
    if (state.read_budget == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    ssize_t n = 0;
    do
        n = ::recv(state.fd, data, std::min(capacity, state.read_budget), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *got = static_cast<size_t>(n);
        state.read_budget -= *got;
        state.read_without_data += *got;
        return 1;
    }
    if (n == 0) {
        state.end_of_file = true;
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        BIO_set_retry_read(bio);
    } else {
        state.error = errno;
    }
    return 0;
}

int write_socket(BIO* bio, const char* data, size_t length, size_t* sent) {
    SocketState& state = state_of(bio);
    BIO_clear_retry_flags(bio);
    *sent = 0;
    ssize_t n = 0;
    do
        n = ::send(state.fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *sent = static_cast<size_t>(n);
        return 1;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        BIO_set_retry_write(bio);
    } else {
        state.error = errno;
    }
    return 0;
}

long control(BIO* bio, int command, long /*number*/, void* /*data*/) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return 0;
}

const BIO_METHOD* socket_method() {
    static const openssl::Owner<BIO_METHOD, BIO_meth_free> method = [] {
        openssl::Owner<BIO_METHOD, BIO_meth_free> m(
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tambo socket"));
        check(m != nullptr && BIO_meth_set_read_ex(m.get(), read_socket) == 1 &&
                  BIO_meth_set_write_ex(m.get(), write_socket) == 1 &&
                  BIO_meth_set_ctrl(m.get(), control) == 1,
              "a BIO method can be made");
        return m;
    }();
    return method.get();
}

} // namespace

openssl::Bio make_socket_bio(SocketState& state) {
    openssl::Bio bio(BIO_new(socket_method()));
    check(bio != nullptr, "memory");
    BIO_set_data(bio.get(), &state);
    BIO_set_init(bio.get(), 1);
    return bio;
}

} // namespace tambo
