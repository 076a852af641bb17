#include "master/picture.h"

#include "common/base/text.h"
#include "master/wiring.h"

namespace tambo::master {

namespace {

std::string_view outside_of(std::string_view listener) {
    if (listener == "smtp") return "other mail servers";
    if (listener == "control") return "tambo(8)";
    return listener == "submit" ? "sendmail(1)" : "mail programs";
}

std::string node_id(std::string_view name) {
    std::string id;
    for (const char c : name) {
        if (is_alnum(c)) id.push_back(c);
    }
    return id;
}

std::string joined(std::string_view list) {
    std::string out;
    for (const auto word : words(list))
        out += (out.empty() ? "" : ", ") + std::string(word);
    return out;
}

// The ports of the outside world; control sockets would only clutter the picture.
std::string entrances(const Service& service) {
    std::string out;
    std::string_view previous;
    std::string ports;
    const auto flush = [&] {
        if (ports.empty()) return;
        out += cat("    ", node_id(previous), "([\"", previous, "\"]) -->|", ports, "| ",
                   service.name, "\n");
        ports.clear();
    };
    for (const auto listener : words(service.listeners)) {
        if (listener == "control") continue;
        if (outside_of(listener) != previous) flush();
        previous = outside_of(listener);
        ports += (ports.empty() ? "" : ", ") + std::string(listener);
    }
    flush();
    return out;
}

} // namespace

std::string wiring_picture() {
    std::string out = "```mermaid\nflowchart LR\n";
    for (const Service& service : services()) {
        out += cat("    ", service.name, "[\"", service.name, "<br/>", service.what, "\"]\n");
    }
    for (const Service& service : services())
        out += entrances(service);
    for (const Edge& edge : edges()) {
        out += cat("    ", edge.a, " -- \"", edge.what, "\" --- ", edge.b, '\n');
    }
    out += "    relayd --> othermailservers\n    dnsd --> nameservers([name servers])\n```\n\n"
           "| process | program | user | may touch | talks to |\n|---|---|---|---|---|\n";
    for (const Service& service : services()) {
        std::string peers;
        for (const Service* peer : peers_of(service)) {
            peers += (peers.empty() ? "" : ", ") + std::string(peer->name);
        }
        std::string files = joined(service.files);
        out += cat("| ", service.name, service.count == Count::one ? "" : ".N", " | ",
                   service.executable, " | ", service.user, " | ", files, " | ", peers,
                   peers.empty() ? "everyone, one way" : "", " |\n");
    }
    return out;
}

} // namespace tambo::master
