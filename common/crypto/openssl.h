// What the sources of this folder share of OpenSSL: owners for its objects, its start, its error
// queue. For .cc files of common/crypto only; no other header includes it.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

namespace tambo::openssl {

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
template <class T, auto Free>
using Owner = std::unique_ptr<T, Deleter<Free>>;

using Bio = Owner<BIO, BIO_free_all>;
using Pkey = Owner<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = Owner<EVP_MD_CTX, EVP_MD_CTX_free>;
using X509Cert = Owner<X509, X509_free>;
using Ssl = Owner<SSL, SSL_free>;
using SslContext = Owner<SSL_CTX, SSL_CTX_free>;

// Once per process, before anything else of OpenSSL: no configuration file is read, the providers
// "default" and our own are loaded, and "default" is preferred wherever both could serve. Called by
// whatever in this folder may be a process's first use.
void start();

// The text of the oldest entry of the thread's error queue ("reason: data"), which is emptied: the
// cause, where later entries say which functions noticed. Printable, at most 200 bytes; otherwise
// if the queue was empty.
std::string take_error(std::string_view otherwise);

// A read-only BIO over text, which must outlive it.
Bio memory_bio(std::string_view text);
// All bytes that were written to a memory BIO.
std::string bio_bytes(BIO* bio);

inline const unsigned char* bytes(std::string_view s) {
    return reinterpret_cast<const unsigned char*>(s.data());
}
inline unsigned char* bytes(std::string& s) {
    return reinterpret_cast<unsigned char*>(s.data());
}

// A public or private key's SubjectPublicKeyInfo.
std::string public_key_der(EVP_PKEY* key);

} // namespace tambo::openssl
