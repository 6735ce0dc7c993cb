// The extension modules of the data image, as built-in modules.
//
// The table comes from the build (`extensions.h`), one line for each module:
// MODULE(name, function that starts it).

#include <Python.h>

#include <stdlib.h>

#define MODULE(name, start) extern PyObject *start(void);
#include "extensions.h"
#undef MODULE

static struct _inittab table[] = {
#define MODULE(name, start) {name, start},
#include "extensions.h"
#undef MODULE
    {},
};

// Runs in `_initialize`, before the interpreter starts.
__attribute__((constructor)) static void add_extensions(void)
{
    if (PyImport_ExtendInittab(table) < 0) {
        abort();
    }
}
