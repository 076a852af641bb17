// Verbs on domains, aliases and addresses.
#include "authd/admin.h"
#include "common/base/text.h"

#include <sysexits.h>

#include <algorithm>

namespace tambo::authd {

namespace {

const std::string& word(const std::vector<std::string>& words, size_t index, const char* what) {
    if (index >= words.size()) throw Refused{EX_USAGE, cat("missing ", what)};
    return words[index];
}

// A domain as its key (A-labels, lower case).
std::string domain_key(const std::string& text) {
    const auto probe = smtp::parse_address("x@" + text);
    if (!probe || probe->is_literal()) {
        throw Refused{EX_DATAERR, cat('"', escape(text), "\" is not a domain name")};
    }
    return probe->domain_key;
}

smtp::Address address_of(const std::string& text) {
    const auto address = smtp::parse_address(text);
    if (!address || address->is_bare_postmaster() || address->is_literal()) {
        throw Refused{EX_DATAERR, cat('"', escape(text), "\" is not a mail address")};
    }
    return *address;
}

// "*@domain" or "@domain" is the catch-all.
Alias alias_of(const std::string& text) {
    if (text.starts_with("*@") || text.starts_with('@')) {
        return Alias{"*", domain_key(text.substr(text.find('@') + 1)), {}};
    }
    const auto address = address_of(text);
    return Alias{address.local_key, address.domain_key, {}};
}

} // namespace

ipc::AdminAnswer Admin::domain_list(const Words&) {
    ipc::AdminAnswer answer;
    answer.columns = {"domain", "accounts", "aliases", "state", "created"};
    for (const auto& d : service_.directory().domains()) {
        answer.rows.push_back({d.name, cat(d.accounts), cat(d.aliases),
                               d.disabled ? "disabled" : "enabled", format_rfc3339(d.created)});
    }
    return answer;
}

ipc::AdminAnswer Admin::domain_add(const Words& words) {
    const std::string name = domain_key(word(words, 0, "DOMAIN"));
    if (!service_.directory().add_domain(name)) {
        throw Refused{EX_CANTCREAT, cat("domain ", name, " exists already")};
    }
    return {};
}

ipc::AdminAnswer Admin::domain_remove(const Words& words) {
    const std::string name = domain_key(word(words, 0, "DOMAIN"));
    const auto domain = service_.directory().domain(name);
    if (!domain) throw Refused{EX_NOHOST, cat("no domain ", name)};
    if (!service_.directory().remove_domain(name)) {
        throw Refused{EX_CANTCREAT, cat("domain ", name, " still has ", domain->accounts,
                                        " accounts and ", domain->aliases,
                                        " aliases; remove them first (tambo user list, tambo "
                                        "alias list)")};
    }
    return {};
}

ipc::AdminAnswer Admin::domain_disable(const Words& words) {
    const std::string name = domain_key(word(words, 0, "DOMAIN"));
    if (!service_.directory().set_domain_disabled(name, true)) {
        throw Refused{EX_NOHOST, cat("no domain ", name)};
    }
    return {};
}

ipc::AdminAnswer Admin::domain_enable(const Words& words) {
    const std::string name = domain_key(word(words, 0, "DOMAIN"));
    if (!service_.directory().set_domain_disabled(name, false)) {
        throw Refused{EX_NOHOST, cat("no domain ", name)};
    }
    return {};
}

// "missing" or "disabled": nobody gets what is meant for this target. Empty otherwise.
std::string Admin::state_of(const Alias& alias) {
    const auto target = smtp::parse_address(alias.target);
    if (!target) return "missing";
    // An alias that names itself keeps the account of its name.
    if (target->local_key == alias.local && target->domain_key == alias.domain) {
        const auto own = service_.directory().account(alias.local, alias.domain);
        return !own ? "missing" : own->disabled ? "disabled" : "";
    }
    switch (expand(service_.book(), *target).verdict) {
    case Expansion::Verdict::unknown:
        return "missing";
    case Expansion::Verdict::disabled:
        return "disabled";
    default:
        return {};
    }
}

ipc::AdminAnswer Admin::list_aliases(const std::string& domain) {
    ipc::AdminAnswer answer;
    answer.columns = {"alias", "target", "state"};
    for (const auto& a : service_.directory().aliases(domain))
        answer.rows.push_back({cat(a.local, '@', a.domain), a.target, state_of(a)});
    return answer;
}

ipc::AdminAnswer Admin::alias_list(const Words& words) {
    return list_aliases(words.empty() ? std::string() : domain_key(words[0]));
}

ipc::AdminAnswer Admin::alias_check(const Words&) {
    auto answer = list_aliases({});
    std::erase_if(answer.rows, [](const auto& row) { return row[2] != "missing"; });
    return answer;
}

ipc::AdminAnswer Admin::aliases_file_check(const Words&) {
    ipc::AdminAnswer answer;
    answer.columns = {"where", "what", "problem"};
    const SystemAliases& file = service_.book().aliases_file;
    for (const auto& one : file.left_out) {
        answer.rows.push_back(
            {cat("line ", one.line), one.text, one.is_target ? "unsupported" : "malformed"});
    }
    for (const auto& [name, targets] : file.targets) {
        const auto address = smtp::parse_address(cat(name, '@', service_.config().hostname));
        if (!address) continue;
        const Expansion expansion = expand(service_.book(), *address);
        for (const auto& missing : expansion.missing)
            answer.rows.push_back({name, missing, "missing"});
        if (!expansion.circle.empty()) answer.rows.push_back({name, expansion.circle, "circle"});
    }
    return answer;
}

// The target as it stands in the alias, whatever its case; nullopt if it is none.
std::optional<std::string> Admin::alias_target(const Alias& alias, const smtp::Address& target) {
    for (const auto& text : service_.directory().alias_targets(alias.local, alias.domain)) {
        const auto known = smtp::parse_address(text);
        if (known && known->key() == target.key()) return text;
    }
    return std::nullopt;
}

ipc::AdminAnswer Admin::alias_add(const Words& words) {
    Alias alias = alias_of(word(words, 0, "ALIAS"));
    word(words, 1, "TARGET");
    if (!service_.directory().domain(alias.domain) && alias.domain != service_.config().hostname) {
        throw Refused{EX_NOHOST,
                      cat("no domain ", alias.domain, "; tambo domain add ", alias.domain)};
    }
    std::vector<std::string> targets;
    const bool force = std::ranges::find(words, "force") != words.end(); // no address
    for (size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "force") continue;
        const auto target = address_of(words[i]);
        alias.target = target.text();
        if (!force && state_of(alias) == "missing") {
            throw Refused{EX_NOUSER, cat(alias.target, " leads nowhere: there is no such account "
                                                       "or alias; --force adds it all the same")};
        }
        if (!alias_target(alias, target)) targets.push_back(alias.target);
    }
    if (!service_.directory().add_aliases(alias.local, alias.domain, targets)) {
        throw Refused{EX_CANTCREAT, "the alias has these targets already"};
    }
    return {};
}

ipc::AdminAnswer Admin::alias_remove(const Words& words) {
    const Alias alias = alias_of(word(words, 0, "ALIAS"));
    std::vector<std::string> targets;
    if (words.size() == 1) targets = service_.directory().alias_targets(alias.local, alias.domain);
    for (size_t i = 1; i < words.size(); ++i) {
        const auto target = alias_target(alias, address_of(words[i]));
        if (!target) throw Refused{EX_NOUSER, cat(words[0], " does not go to ", words[i])};
        targets.push_back(*target);
    }
    if (!service_.directory().remove_aliases(alias.local, alias.domain, targets)) {
        throw Refused{EX_NOUSER, cat("no alias ", words[0])};
    }
    return {};
}

ipc::AdminAnswer Admin::address_explain(const Words& words) {
    std::string text = word(words, 0, "ADDRESS");
    // A bare name, as sendmail(1) takes it: of this host.
    if (!text.empty() && text.find('@') == std::string::npos) {
        text = cat(text, '@', service_.config().hostname);
    }
    const auto address = smtp::parse_address(text);
    if (!address) throw Refused{EX_DATAERR, "not a mail address"};
    const Expansion expansion = expand(service_.book(), *address);
    ipc::AdminAnswer answer;
    answer.columns = {"kind", "target", "detail", "reply"};
    for (const auto& target : expansion.targets) {
        const bool local = target.kind == ipc::TargetKind::local;
        answer.rows.push_back({local ? "local" : "remote", target.address, target.detail,
                               local ? service_.lack_of_room(target.account) : ""});
    }
    if (!expansion.targets.empty()) {
        if (!expansion.circle.empty()) answer.rows.push_back({"circle", expansion.circle, "", ""});
        for (const auto& missing : expansion.missing)
            answer.rows.push_back({"missing", missing, "", ""});
        if (expansion.stand_in) {
            answer.rows.push_back({"instead", expansion.stand_in->address, "", ""});
        }
    }
    if (expansion.verdict != Expansion::Verdict::good) {
        const auto reply = refusal_of(expansion.verdict);
        answer.rows.push_back(
            {"refused", "", "", cat(reply.code, ' ', reply.enhanced, ' ', reply.text)});
        answer.exit_code = 1;
    }
    return answer;
}

ipc::AdminAnswer Admin::postmaster(const Words& words) {
    ipc::AdminAnswer answer;
    if (!words.empty()) {
        const std::string address = address_of(words[0]).text();
        if (!service_.book().follow(address)) {
            throw Refused{EX_NOUSER, cat("no account ", escape(address),
                                         "; the postmaster is an account of this server")};
        }
        service_.directory().set_setting("postmaster", address);
    }
    answer.columns = {"postmaster", "state"};
    if (const auto mailbox = service_.book().postmaster()) {
        answer.rows.push_back({mailbox->address, mailbox->disabled ? "disabled" : "enabled"});
    }
    return answer;
}

} // namespace tambo::authd
