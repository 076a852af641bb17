#include "imapd/session/parser.h"

#include "imapd/session/args.h"
#include "imapd/session/fetch_items.h"
#include "imapd/session/response.h"
#include "imapd/session/search_key.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;
using namespace tambo::imap;

namespace {

std::string labels(std::string_view text) {
    Parser in(text);
    std::string out;
    for (const auto& item : parse_fetch_items(in)) {
        if (!out.empty()) out += ' ';
        out += fetch_label(item) + (item.peek ? "" : "!");
    }
    in.end();
    return out;
}

std::string astring(std::string_view text) {
    Parser in(text);
    auto s = in.astring();
    in.end();
    return s;
}

SearchProgram search(std::string_view text) {
    Parser in(text);
    return parse_search(in);
}

size_t depth(const SearchKey& key) {
    size_t most = 0;
    for (const auto& child : key.children)
        most = std::max(most, depth(child));
    return most + 1;
}

template <class F>
void every_one_bad(std::initializer_list<const char*> texts, F parse) {
    for (const auto* text : texts) {
        INFO(text);
        Parser in(text);
        CHECK_THROWS_AS(parse(in), Bad);
    }
}

} // namespace

TEST_CASE("strings come as atom, quoted string and literal") {
    CHECK(astring("abc]") == "abc]");
    CHECK(astring("\"a \\\"b\\\\\"") == "a \"b\\");
    CHECK(astring("\"\"") == "");
    CHECK(astring("{3}\r\na\"b") == "a\"b");
    CHECK(astring("{3+}\r\na\r\n") == "a\r\n");
    CHECK(astring("{0}\r\n") == "");
    every_one_bad({"", "\"a", "\"a\\x\"", "\"a\r\nb\"", "{3}\r\nab", "{3}abc", "{-1}\r\n",
                   "{99999999999999999999}\r\n", "(", "a(", "%", "\\Seen"},
                  [](Parser& in) {
                      in.astring();
                      in.end();
                  });
    CHECK_THROWS_AS(astring(std::string_view("{1}\r\n\0", 6)), Bad);
    CHECK_THROWS_AS(astring(std::string_view("\"\0\"", 3)), Bad);
}

TEST_CASE("a parser on any prefix of a command stays inside it") {
    const std::string_view commands[] = {
        "a FETCH 1:* (UID BODY.PEEK[1.2.HEADER.FIELDS (\"From\" {2}\r\nTo)]<1.2>)",
        "a SEARCH CHARSET UTF-8 OR (FROM \"x\" NOT SEEN) SINCE 1-Feb-2020 {1}\r\nx",
        "a APPEND \"in box\" (\\Seen $x) \" 1-Feb-2020 00:00:00 +0000\" {5}\r\n",
        "a LIST (SUBSCRIBED) \"\" (\"*\" %) RETURN (CHILDREN)"};
    for (const auto command : commands) {
        for (size_t i = 0; i <= command.size(); ++i) {
            const std::string prefix(command.substr(0, i)); // ASan sees a read beyond it
            Parser in(prefix);
            try {
                in.try_tag();
                in.space();
                const auto word = in.atom();
                in.space();
                if (word == "FETCH") {
                    in.sequence_set();
                    in.space();
                    parse_fetch_items(in);
                } else if (word == "SEARCH") {
                    parse_search(in);
                } else if (word == "APPEND") {
                    parse_append(in);
                } else {
                    parse_list(in);
                }
            } catch (const Bad&) {
            }
        }
    }
}

TEST_CASE("mailbox names are decoded, INBOX in upper case") {
    CHECK(Parser("inbox").mailbox().utf8 == "INBOX");
    CHECK(Parser("\"Entw&APw-rfe\"").mailbox().utf8 == "Entw\u00FCrfe");
    CHECK_FALSE(Parser("\"&AC8-\"").mailbox().valid);
    CHECK_FALSE(Parser("gr\xC3\xBC").mailbox().valid);
}

TEST_CASE("flags") {
    const auto flags = Parser("(\\seen $Forwarded \\DRAFT $forwarded x)").flag_list();
    CHECK(flags.system == (store::kSeen | store::kDraft));
    CHECK(flags.keywords == std::vector<std::string>{"$Forwarded", "x"});
    std::string text;
    put_flags(text, flags, true);
    CHECK(text == "(\\Seen \\Draft \\Recent $Forwarded x)");
    text.clear();
    put_flags(text, {});
    CHECK(text == "()");
    CHECK(Parser("\\Seen \\Deleted").flags_of_store().system == (store::kSeen | store::kDeleted));
    every_one_bad({"", "\\Seen", "(\\Recent)", "(\\Foo)", "(a", "(a,)x", "( a)", "(\"a\")",
                   "(gr\xC3\xBC)", "(\\)"},
                  [](Parser& in) {
                      in.flag_list();
                      in.end();
                  });
}

TEST_CASE("FETCH items") {
    CHECK(labels("ALL") == "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE");
    CHECK(labels("fast") == "FLAGS INTERNALDATE RFC822.SIZE");
    CHECK(labels("Full") == "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY");
    CHECK(labels("(uid flags body bodystructure)") == "UID FLAGS BODY BODYSTRUCTURE");
    CHECK(labels("(RFC822 RFC822.HEADER RFC822.TEXT)") == "RFC822! RFC822.HEADER RFC822.TEXT!");
    CHECK(labels("BODY[]") == "BODY[]!");
    CHECK(labels("BODY.PEEK[]<0.100>") == "BODY[]<0>");
    CHECK(labels("body[1.2.mime]") == "BODY[1.2.MIME]!");
    CHECK(labels("BODY[1]<5.1>") == "BODY[1]<5>!");
    CHECK(labels("BODY.PEEK[HEADER.FIELDS (from \"x y\")]") ==
          "BODY[HEADER.FIELDS (from \"x y\")]");
    CHECK(labels("BODY.PEEK[4.HEADER.FIELDS.NOT ({4}\r\nDate)]") ==
          "BODY[4.HEADER.FIELDS.NOT (Date)]");
    CHECK(labels("(BODY[TEXT] BODY[3.TEXT])") == "BODY[TEXT]! BODY[3.TEXT]!");
    every_one_bad({"",
                   "()",
                   "(ALL)",
                   "FOO",
                   "BODY[",
                   "BODY[MIME]",
                   "BODY[0]",
                   "BODY[1.]",
                   "BODY[.1]",
                   "BODY[1]<1>",
                   "BODY[1]<1.0>",
                   "BODY[HEADER.FIELDS]",
                   "BODY[HEADER.FIELDS ()]",
                   "BODY[1.FOO]",
                   "(UID",
                   "(UID  FLAGS)",
                   "UID FLAGS",
                   "BODY[TEXT.1]",
                   "BODY.PEEK",
                   "BODY[4294967296]",
                   "RFC822.PEEK"},
                  [](Parser& in) {
                      parse_fetch_items(in);
                      in.end();
                  });
}

TEST_CASE("SEARCH keys") {
    using Kind = SearchKey::Kind;
    auto p = search("CHARSET UTF-8 UNSEEN FROM \"Bob\" 1:3,* NOT DELETED UID 7 LARGER 100");
    CHECK(p.charset == "UTF-8");
    REQUIRE(p.root.children.size() == 6);
    CHECK(p.root.children[0].kind == Kind::no_flag);
    CHECK(p.root.children[0].number == store::kSeen);
    CHECK(p.root.children[1].field == "FROM");
    CHECK(p.root.children[1].text == "Bob");
    CHECK(p.root.children[2].kind == Kind::sequence);
    CHECK(p.root.children[3].children.at(0).number == store::kDeleted);
    CHECK(p.root.children[5].number == 100);

    p = search("OR FROM a OR (SEEN NEW) BODY {1}\r\nx SINCE \"1-Feb-2020\" HEADER X-Y \"\"");
    REQUIRE(p.root.children.size() == 3);
    CHECK(p.root.children[0].kind == Kind::any);
    REQUIRE(p.root.children[0].children.size() == 3);
    CHECK(p.root.children[0].children[1].kind == Kind::every);
    CHECK(p.root.children[1].date == UtcTime::from_seconds(1'580'515'200));
    CHECK(p.root.children[2].field == "X-Y");

    for (const auto* key : {"ALL",
                            "ANSWERED",
                            "DRAFT",
                            "FLAGGED",
                            "NEW",
                            "OLD",
                            "RECENT",
                            "SEEN",
                            "UNANSWERED",
                            "UNDELETED",
                            "UNDRAFT",
                            "UNFLAGGED",
                            "BEFORE 1-Jan-2020",
                            "ON 1-Jan-2020",
                            "SENTBEFORE 1-Jan-2020",
                            "SENTON 1-Jan-2020",
                            "SENTSINCE 1-Jan-2020",
                            "BCC x",
                            "CC x",
                            "TO x",
                            "SUBJECT x",
                            "TEXT x",
                            "KEYWORD x",
                            "UNKEYWORD x",
                            "SMALLER 1",
                            "(ALL)"}) {
        INFO(key);
        CHECK_NOTHROW(search(key));
    }
    every_one_bad({"", "FOO", "FROM", "FROM ", "OR SEEN", "NOT", "()", "(SEEN", "SEEN)",
                   "SEEN  NEW", "BEFORE 31-Feb-2020", "LARGER x", "UID x", "CHARSET UTF-8",
                   "HEADER X", "KEYWORD", "RETURN (ALL) SEEN", "SEEN CHARSET UTF-8 NEW"},
                  [](Parser& in) { parse_search(in); });
}

TEST_CASE("SEARCH limits nesting and the number of keys, not the length of an OR chain") {
    CHECK_NOTHROW(search(std::string(100, '(') + "SEEN" + std::string(100, ')')));
    CHECK_THROWS_AS(search(std::string(101, '(') + "SEEN" + std::string(101, ')')), Bad);
    CHECK_THROWS_AS(search(std::string(60'000, '(')), Bad); // RULES.md F14
    std::string nots, ors, left, many = "ALL";
    for (int i = 0; i < 1000; ++i)
        ors += "OR SEEN ";
    const auto chain = search(ors + "NEW");
    CHECK(chain.root.children[0].children.size() == 1001);
    CHECK(depth(chain.root) == 3);
    for (int i = 0; i < 101; ++i)
        nots += "NOT ";
    CHECK_THROWS_AS(search(nots + "SEEN"), Bad);
    for (int i = 0; i < 101; ++i)
        left += "OR ";
    for (int i = 0; i < 101; ++i)
        left += "SEEN ";
    CHECK_NOTHROW(search(ors + "NEW"));
    for (int i = 0; i < 5000; ++i)
        many += " ALL";
    CHECK_THROWS_AS(search(many), Bad);
    for (int i = 0; i < 5000; ++i)
        ors += "OR SEEN ";
    CHECK_THROWS_AS(search(ors + "NEW"), Bad);
}

TEST_CASE("LIST arguments") {
    const auto list = [](std::string_view text) {
        Parser in(text);
        return parse_list(in);
    };
    auto a = list("\"\" *");
    CHECK_FALSE(a.extended);
    CHECK(a.patterns == std::vector<std::string>{"*"});
    CHECK(list("\"\" \"\"").asks_delimiter);
    a = list("(SUBSCRIBED RECURSIVEMATCH) \"x/\" (% \"a&APw-*\") RETURN (CHILDREN SPECIAL-USE)");
    CHECK(a.extended);
    CHECK(a.select == (ListArgs::kSelectSubscribed | ListArgs::kSelectRecursive));
    CHECK(a.returned == (ListArgs::kReturnChildren | ListArgs::kReturnSpecialUse));
    CHECK(a.reference == "x/");
    CHECK(a.patterns == std::vector<std::string>{"%", "a\u00FC*"});
    CHECK(list("() \"\" % RETURN ()").extended);
    CHECK(list("\"\" \"&AC8-\"").patterns.empty());
    every_one_bad({"", "\"\"", "(FOO) \"\" *", "\"\" * RETURN", "\"\" * RETURN (FOO)", "\"\" () ",
                   "(RECURSIVEMATCH) \"\" *", "\"\" * x", "(SUBSCRIBED \"\" *"},
                  [](Parser& in) { parse_list(in); });
}

TEST_CASE("STATUS, STORE, APPEND and ID arguments") {
    Parser status("a (MESSAGES uidnext UNSEEN)");
    CHECK(parse_status(status).items.size() == 3);
    Parser store("1:3 -FLAGS.SILENT (\\Deleted)");
    const auto s = parse_store(store);
    CHECK(s.silent);
    CHECK(s.how == StoreArgs::How::remove);
    Parser append("\"Sent\" (\\Seen) \"24-Nov-2026 06:20:16 +0100\" {310+}\r\n");
    const auto a = parse_append(append);
    CHECK(a.mailbox.utf8 == "Sent");
    CHECK(a.date == UtcTime{1'795'497'616'000});
    CHECK(a.message.size == 310);
    CHECK_FALSE(a.message.synchronising);
    CHECK(append.at_end());
    Parser id("(\"name\" \"x\" \"version\" NIL)");
    const auto pairs = parse_id(id);
    REQUIRE(pairs.size() == 2);
    CHECK_FALSE(pairs[1].second.has_value());
    Parser nil("NIL");
    CHECK(parse_id(nil).empty());
    every_one_bad({"a ()", "a (FOO)", "a MESSAGES", "a (MESSAGES) x"},
                  [](Parser& in) { parse_status(in); });
    every_one_bad({"1 FLAGS", "1 FOO (x)", "x FLAGS ()", "1 FLAGS () x", "1 +-FLAGS ()"},
                  [](Parser& in) { parse_store(in); });
    every_one_bad({"a \"x\"", "a (\\Seen)", "a {5}", "a {5}x\r\n", "a \"1-Feb-2020\" {5}\r\n"},
                  [](Parser& in) { parse_append(in); });
    every_one_bad({"", "(", "(\"a\")", "(\"a\" \"b\"", "(a \"b\")", "NIL x"},
                  [](Parser& in) { parse_id(in); });
}

TEST_CASE("strings in responses never end a line by what they hold") {
    const auto string = [](std::string_view s) {
        std::string out;
        put_string(out, s);
        return out;
    };
    CHECK(string("a\"b\\") == "\"a\\\"b\\\\\"");
    CHECK(string("a\r\nb") == "{4}\r\na\r\nb");
    CHECK(string("\xC3\xBC") == "{2}\r\n\xC3\xBC");
    CHECK(string(std::string_view("a\0", 2)) == "{2}\r\na\x80");
    CHECK(string(std::string(2000, 'x')).starts_with("{2000}\r\n"));
    std::string out;
    put_astring(out, "NIL");
    put_astring(out, "x");
    put_astring(out, "");
    put_nstring(out, std::nullopt);
    put_mailbox(out, "\u00FC");
    CHECK(out == "\"NIL\"x\"\"NIL\"&APw-\"");
}
