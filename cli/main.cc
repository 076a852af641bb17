// tambo(8), and by the name it is called by sendmail(1), mailq(1), newaliases(1).
#include "cli/app.h"
#include "cli/sendmail.h"

#include <string>

int main(int argc, char** argv) {
    const std::string path = argc > 0 ? argv[0] : "tambo";
    const std::string name = path.substr(path.rfind('/') + 1);
    if (name == "sendmail" || name == "mailq" || name == "newaliases") {
        return tambo::cli::run_sendmail(name, argc, argv);
    }
    return tambo::cli::run_tambo(argc, argv);
}
