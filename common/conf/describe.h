// The configuration as text for people: defaults and current values as TOML, and the key section of
// tambo.toml(5) as mdoc. All from the schema, so that none of them can be out of date.
#pragma once

#include "common/conf/load.h"

#include <string>

namespace tambo::conf {

// A complete tambo.toml with every key at its default, each under its help text as comment.
std::string show_defaults();
// Every effective value; where it was set stands behind it as comment if sources is true.
std::string show(const Loaded& loaded, bool sources);
// One key: help, type, range, default, when a change takes effect. "" if there is no such key.
std::string explain(std::string_view key);
// The list of all keys as mdoc(7) source, between the markers that tambo.toml.5 has.
std::string keys_mdoc();

} // namespace tambo::conf
