// How this library uses ICU: only with the data that is linked in, so that it works in a sandbox
// and a charset's name from a message never becomes the name of a file.
#pragma once

namespace tambo::mime {

// Forbids ICU to look for data in files, once for the process. Every first use of ICU data calls
// it.
void use_linked_icu_data();

} // namespace tambo::mime
