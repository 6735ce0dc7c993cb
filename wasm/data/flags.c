// The flags of floating-point operations (C, 7.6.3), in the place of the C library's stubs.
//
// WebAssembly's operations set none. numpy sets them itself where it finds an error, for example a
// singular matrix, and raises the error by them.

#include <fenv.h>

int __fesetround(int mode);

static int raised;

int feclearexcept(int flags)
{
    raised &= ~flags;
    return 0;
}

int feraiseexcept(int flags)
{
    raised |= flags;
    return 0;
}

int fetestexcept(int flags)
{
    return raised & flags;
}

// The rest of the C library's file, which would otherwise be linked beside this one.

int fegetround(void)
{
    return FE_TONEAREST;
}

int __fesetround(int)
{
    return 0;
}

int fegetenv(fenv_t *)
{
    return 0;
}

int fesetenv(const fenv_t *)
{
    return 0;
}
