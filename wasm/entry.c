// Exports for the host: `wizer-initialize`, called once before the snapshot, and `run_task`, called
// once in each instance of the snapshot.

#include "files.h"
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char GUEST_PACKAGE[] = "_serpentarium";
// The working directory at the start (files.c), and the home directory in stdlib/pwd.py.
static const char HOME[] = "/home/task";
static const wchar_t LIBRARY[] = L"/usr/lib/python3.13",
                     PACKAGES[] = L"/usr/lib/python3.13/site-packages";

// `_serpentarium.run`, looked up before the snapshot, so that a task starts with one call.
static PyObject *run_function;

// Aborts: prints the reason to standard error, then traps, so that the host takes no snapshot.
[[noreturn]] static void fail(const char *doing)
{
    fprintf(stderr, "python image: %s failed\n", doing);
    if (PyErr_Occurred()) {
        PyErr_DisplayException(PyErr_GetRaisedException());
    }
    fflush(stderr);
    abort();
}

static void check(PyStatus status, const char *doing)
{
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "%s: %s\n", status.func ? status.func : "python",
                status.err_msg ? status.err_msg : "no message");
        fail(doing);
    }
}

static void go_home(void)
{
    if (chdir(HOME) != 0) {
        fail("entering the home directory");
    }
}

static void start_interpreter(void)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before), "preparing the interpreter");

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    // A fixed hash seed: the same task takes the same steps, so the same fuel, in every instance.
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    config.site_import = 0;
    config.write_bytecode = 0;
    config.install_signal_handlers = 0;
    // The library is not in files: a path search would find nothing and warn. Its directory
    // (files.c) has packages only, and gives the modules their `__file__`.
    config.pathconfig_warnings = 0;
    config.module_search_paths_set = 1;
    check(PyWideStringList_Append(&config.module_search_paths, L"/home/task"), "configuring");
    check(PyWideStringList_Append(&config.module_search_paths, LIBRARY), "configuring");
    check(PyWideStringList_Append(&config.module_search_paths, PACKAGES), "configuring");
    check(PyConfig_SetString(&config, &config.program_name, L"python3"), "configuring");
    check(PyConfig_SetString(&config, &config.executable, L""), "configuring");
    check(PyConfig_SetString(&config, &config.home, L"/usr"), "configuring");
    check(PyConfig_SetString(&config, &config.stdlib_dir, LIBRARY), "configuring");
    check(Py_InitializeFromConfig(&config), "starting the interpreter");
    PyConfig_Clear(&config);
}

static void load_guest(void)
{
    if (!frozen_add_guest()) {
        fail("reading and compiling the guest package");
    }

    PyObject *package = PyImport_ImportModule(GUEST_PACKAGE);
    if (package == nullptr) {
        fail("importing the guest package");
    }
    run_function = PyObject_GetAttrString(package, "run");
    if (run_function == nullptr) {
        fail("looking for the guest package's run()");
    }
    PyObject *nothing = PyObject_CallMethod(package, "warm", nullptr);
    if (nothing == nullptr) {
        fail("warming up the guest package");
    }
    Py_DECREF(nothing);
    Py_DECREF(package);
}

[[clang::export_name("wizer-initialize")]] void image_initialize(void)
{
    frozen_install();
    if (PyImport_AppendInittab("_host", host_module_init) < 0
        || PyImport_AppendInittab("_scrypt", scrypt_module_init) < 0) {
        fail("adding the built-in modules");
    }
    go_home();
    start_interpreter();
    load_guest();
    files_leave_reserve = files_are_fixed = true;
    if (!snapshot_make_immortal() || !snapshot_fill_heap_gaps()) {
        fail("preparing the memory for a snapshot");
    }
    fflush(stderr);
}

// Flushes Python's standard error. Ignores errors: no channel is left to report them.
static void flush_standard_error(void)
{
    PyObject *stream = PySys_GetObject("stderr");
    if (stream != nullptr && stream != Py_None) {
        Py_XDECREF(PyObject_CallMethod(stream, "flush", nullptr));
        PyErr_Clear();
    }
    fflush(stderr);
}

// Returns 0 if `run()` returned, 1 if it raised. The traceback is then on standard error.
[[clang::export_name("run_task")]] int32_t image_run_task(void)
{
    if (run_function == nullptr) {
        fail("running a task in an image without a snapshot");
    }
    PyObject *result = PyObject_CallNoArgs(run_function);
    if (result == nullptr) {
        PyErr_DisplayException(PyErr_GetRaisedException());
        flush_standard_error();
        return 1;
    }
    Py_DECREF(result);
    return 0;
}
