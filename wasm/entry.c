// What the host calls: `wizer-initialize` once, before the snapshot, and `run_task` once in every instance of it.

#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char GUEST_PACKAGE[] = "_serpentarium";

// `_serpentarium.run`, found before the snapshot so that a task starts with one call.
static PyObject *run_function;

// Ends the start-up in a way the host cannot miss: the reason on standard error, then a trap. No snapshot is made.
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
        fprintf(stderr, "%s: %s\n", status.func ? status.func : "python", status.err_msg ? status.err_msg : "no message");
        fail(doing);
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
    // The hash seed is part of the snapshot: the same task takes the same steps, every time.
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    config.site_import = 0;
    config.write_bytecode = 0;
    config.install_signal_handlers = 0;
    // There is no file system: nothing to search, nothing to warn about.
    config.pathconfig_warnings = 0;
    config.module_search_paths_set = 1;
    check(PyConfig_SetString(&config, &config.program_name, L"python3"), "configuring");
    check(PyConfig_SetString(&config, &config.executable, L""), "configuring");
    check(PyConfig_SetString(&config, &config.home, L"/"), "configuring");
    check(PyConfig_SetString(&config, &config.stdlib_dir, L""), "configuring");
    check(Py_InitializeFromConfig(&config), "starting the interpreter");
    PyConfig_Clear(&config);
}

static void load_guest(void)
{
    struct bytes records = {};
    if (!read_standard_input(&records)) {
        PyErr_SetFromErrno(PyExc_OSError);
        fail("reading the guest package");
    }
    if (!frozen_add_guest(&records)) {
        fail("compiling the guest package");
    }
    bytes_free(&records);

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
    if (PyImport_AppendInittab("_host", host_module_init) < 0) {
        fail("adding the module _host");
    }
    start_interpreter();
    load_guest();
    if (!snapshot_make_immortal() || !snapshot_settle_memory()) {
        fail("preparing the memory for a snapshot");
    }
    fflush(stderr);
}

// Flushes Python's standard error; whatever goes wrong there has nowhere left to be reported.
static void flush_standard_error(void)
{
    PyObject *stream = PySys_GetObject("stderr");
    if (stream != nullptr && stream != Py_None) {
        Py_XDECREF(PyObject_CallMethod(stream, "flush", nullptr));
        PyErr_Clear();
    }
    fflush(stderr);
}

// Returns 0 when run() returned, 1 when it raised; the traceback is then on standard error.
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
