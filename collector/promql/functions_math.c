/*
 * functions_math.c - one number in, one number out.
 */
#include <math.h>

#include "collector/promql/functions_impl.h"

#define PI 3.14159265358979323846

#define SIMPLE_MAP(name, expression)                                                           \
    MAP_FUNCTION(name)                                                                         \
    {                                                                                          \
        const double v = value;                                                                \
        (void)parameters;                                                                      \
        *ret_value = (expression);                                                             \
        return true;                                                                           \
    }

/* As Go has them (math/sinh.go): beyond 709.78 infinite, where libm still finds a number. */
#define GO_EXP_ALONE 21

static double go_cosh(double v)
{
    return fabs(v) > GO_EXP_ALONE ? exp(fabs(v)) * 0.5 : cosh(v);
}

static double go_sinh(double v)
{
    return fabs(v) > GO_EXP_ALONE ? copysign(exp(fabs(v)) * 0.5, v) : sinh(v);
}

SIMPLE_MAP(abs, fabs(v))
SIMPLE_MAP(acos, acos(v))
SIMPLE_MAP(acosh, acosh(v))
SIMPLE_MAP(asin, asin(v))
SIMPLE_MAP(asinh, asinh(v))
SIMPLE_MAP(atan, atan(v))
SIMPLE_MAP(atanh, atanh(v))
SIMPLE_MAP(ceil, ceil(v))
SIMPLE_MAP(cos, cos(v))
SIMPLE_MAP(cosh, go_cosh(v))
SIMPLE_MAP(deg, v * 180 / PI)
SIMPLE_MAP(exp, exp(v))
SIMPLE_MAP(floor, floor(v))
SIMPLE_MAP(ln, log(v))
SIMPLE_MAP(log10, log10(v))
SIMPLE_MAP(log2, log2(v))
SIMPLE_MAP(rad, v *PI / 180)
SIMPLE_MAP(sin, sin(v))
SIMPLE_MAP(sinh, go_sinh(v))
SIMPLE_MAP(sqrt, sqrt(v))
SIMPLE_MAP(tan, tan(v))
SIMPLE_MAP(tanh, tanh(v))

/* The sign; NaN and both zeros stay what they are. */
SIMPLE_MAP(sgn, v > 0 ? 1 : v < 0 ? -1 : v)

/* As Go has them: unlike in fmax() and fmin() NaN wins, but over it the infinity that no number is
 * beyond; and of two zeros it is the one with the sign asked for. */
static double larger(double a, double b)
{
    if (a == (double)INFINITY || b == (double)INFINITY)
        return (double)INFINITY;
    if (isnan(a) || isnan(b))
        return (double)NAN;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

static double smaller(double a, double b)
{
    return -larger(-a, -b);
}

MAP_FUNCTION(clamp)
{
    *ret_value = larger(parameters[0], smaller(parameters[1], value));
    return !(parameters[0] > parameters[1]);
}

MAP_FUNCTION(clamp_min)
{
    *ret_value = larger(parameters[0], value);
    return true;
}

MAP_FUNCTION(clamp_max)
{
    *ret_value = smaller(parameters[0], value);
    return true;
}

/* To the nearest multiple, halves up; by the inverse, which is exact for 0.1 and its like. */
MAP_FUNCTION(round)
{
    double inverse = 1.0 / parameters[0];
    *ret_value = floor(value * inverse + 0.5) / inverse;
    return true;
}
