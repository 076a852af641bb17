// The command line of sendmail(1) as programs write it since 1983.
#include "cli/sendmail.h"

#include "common/base/text.h"

namespace tambo::cli {

namespace {

// Flags with a value that has no meaning here.
constexpr std::string_view kIgnoredWithValue = "BCDLMNOQRVXhpqA";
constexpr std::string_view kIgnored = "UmnGUv";

class Parser {
  public:
    Parser(const std::vector<std::string>& words, SendmailOptions& out)
        : words_(words), out_(out) {}

    bool parse(std::string& error) {
        for (; index_ < words_.size(); ++index_) {
            const std::string& word = words_[index_];
            if (word == "--") {
                out_.recipients.insert(out_.recipients.end(), words_.begin() + next(),
                                       words_.end());
                return true;
            }
            if (word.size() < 2 || word[0] != '-') {
                out_.recipients.push_back(word);
                continue;
            }
            if (!parse_flags(word, error)) return false;
        }
        return true;
    }

  private:
    std::ptrdiff_t next() const { return static_cast<std::ptrdiff_t>(index_ + 1); }

    // The rest of the word, or the next word.
    std::optional<std::string> value(const std::string& word, size_t at) {
        if (at + 1 < word.size()) return word.substr(at + 1);
        if (index_ + 1 >= words_.size()) return std::nullopt;
        return words_[++index_];
    }

    bool set_mode(char mode, std::string& error) {
        switch (mode) {
        case 'm':
            return true;
        case 'p':
            out_.list_queue = true;
            return true;
        case 'i':
            out_.rebuild_aliases = true;
            return true;
        case 's':
            out_.speak_smtp = true;
            return true;
        default:
            error = cat("-b", mode, " is not supported");
            return false;
        }
    }

    void set_option(std::string_view option) {
        if (option == "i") out_.ignore_dots = true;
    }

    bool parse_flags(const std::string& word, std::string& error) {
        for (size_t at = 1; at < word.size(); ++at) {
            const char flag = word[at];
            if (flag == 't') {
                out_.recipients_from_header = true;
            } else if (flag == 'i') {
                out_.ignore_dots = true;
            } else if (flag == 'b') {
                return set_mode(at + 1 < word.size() ? word[at + 1] : '?', error);
            } else if (flag == 'o') {
                const auto option = value(word, at);
                if (option) set_option(*option);
                return true;
            } else if (flag == 'f' || flag == 'r' || flag == 'F') {
                const auto text = value(word, at);
                if (!text) {
                    error = cat("-", flag, " needs a value");
                    return false;
                }
                if (flag == 'F') {
                    out_.full_name = *text;
                } else {
                    out_.null_sender = *text == "<>" || text->empty();
                    out_.sender = out_.null_sender ? std::string() : *text;
                }
                return true;
            } else if (kIgnoredWithValue.find(flag) != std::string_view::npos) {
                static_cast<void>(value(word, at));
                return true;
            } else if (kIgnored.find(flag) == std::string_view::npos) {
                error = cat("unknown option -", flag);
                return false;
            }
        }
        return true;
    }

    const std::vector<std::string>& words_;
    SendmailOptions& out_;
    size_t index_ = 0;
};

} // namespace

std::optional<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& words,
                                                      std::string& error) {
    SendmailOptions options;
    if (!Parser(words, options).parse(error)) return std::nullopt;
    return options;
}

} // namespace tambo::cli
