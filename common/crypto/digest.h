// Hashes and message authentication codes, and the comparison of secrets. Results are raw bytes.
// Random bytes are in sys.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace tambo {

// SHA-1 is there for protocols that name it (SCRAM-SHA-1, old DKIM reports); never for signatures.
enum class DigestKind { sha1, sha256, sha512 };

// A hash over pieces.
class Digest {
  public:
    explicit Digest(DigestKind kind);
    ~Digest();
    Digest(Digest&&) noexcept;
    Digest& operator=(Digest&&) noexcept;

    void update(std::string_view data);
    // 20, 32 or 64 bytes. The object starts anew.
    std::string finish();

  private:
    DigestKind kind_;
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string digest(DigestKind kind, std::string_view data);
std::string sha256(std::string_view data);
// RFC 2104. The key may have any length, also none.
std::string hmac(DigestKind kind, std::string_view key, std::string_view data);

// Time depends on the lengths only. Different lengths are unequal.
bool equal_constant_time(std::string_view a, std::string_view b);
// Overwrites a secret's characters before its memory is given back; s is empty afterwards.
void wipe(std::string& s);

} // namespace tambo
