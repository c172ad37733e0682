/*
 * functions_impl.h - the implementations the rows of functions.c point to.
 */
#pragma once

#include "collector/promql/functions.h"

#define MAP_FUNCTION(name)                                                                     \
    bool map_##name(double value, const double *parameters, double *ret_value)
#define WINDOW_FUNCTION(name) bool window_##name(struct window *window, double *ret_value)
#define ROLLED_FUNCTION(name) bool rolled_##name(struct window *window, double *ret_value)
#define ALIKE_FUNCTION(name)                                                                   \
    size_t alike_##name(struct window *window, size_t stride, size_t windows, double *values)
#define WHOLE_FUNCTION(name)                                                                   \
    int whole_##name(struct evaluation *ev, const struct node *call, const struct grid *grid,  \
                     struct value *ret_value)

/* The scalar arguments of a call, each a column over the grid. */
struct parameters {
    const double *columns[FUNCTION_PARAMETERS_MAX];
    size_t count;
};
void parameters_at(const struct parameters *parameters, size_t step,
                   double out[FUNCTION_PARAMETERS_MAX]);
/* Evaluates the scalars into `parameters` and the one other argument into `*ret_main`; a range of a
 * window function may be left unread, also where an error comes back. */
int evaluate_arguments(struct evaluation *ev, const struct node *call, const struct grid *grid,
                       struct parameters *parameters, struct value *ret_main);

/* functions_window.c: a call of a window function. */
int window_evaluate(struct evaluation *ev, const struct node *call, const struct grid *grid,
                    struct value *ret_value);

/* functions_math.c */
MAP_FUNCTION(abs);
MAP_FUNCTION(acos);
MAP_FUNCTION(acosh);
MAP_FUNCTION(asin);
MAP_FUNCTION(asinh);
MAP_FUNCTION(atan);
MAP_FUNCTION(atanh);
MAP_FUNCTION(ceil);
MAP_FUNCTION(cos);
MAP_FUNCTION(cosh);
MAP_FUNCTION(deg);
MAP_FUNCTION(exp);
MAP_FUNCTION(floor);
MAP_FUNCTION(ln);
MAP_FUNCTION(log10);
MAP_FUNCTION(log2);
MAP_FUNCTION(rad);
MAP_FUNCTION(sin);
MAP_FUNCTION(sinh);
MAP_FUNCTION(sqrt);
MAP_FUNCTION(tan);
MAP_FUNCTION(tanh);
MAP_FUNCTION(clamp);
MAP_FUNCTION(clamp_max);
MAP_FUNCTION(clamp_min);
MAP_FUNCTION(round);
MAP_FUNCTION(sgn);

/* functions_time.c: the value is seconds of Unix time, UTC */
MAP_FUNCTION(day_of_month);
MAP_FUNCTION(day_of_week);
MAP_FUNCTION(day_of_year);
MAP_FUNCTION(days_in_month);
MAP_FUNCTION(hour);
MAP_FUNCTION(minute);
MAP_FUNCTION(month);
MAP_FUNCTION(year);
WHOLE_FUNCTION(time);
WHOLE_FUNCTION(timestamp);
WHOLE_FUNCTION(start);
WHOLE_FUNCTION(end);
WHOLE_FUNCTION(step);
WHOLE_FUNCTION(range);

/* functions_rate.c */
WINDOW_FUNCTION(rate);
WINDOW_FUNCTION(increase);
WINDOW_FUNCTION(delta);
ALIKE_FUNCTION(rate);
ALIKE_FUNCTION(increase);
ALIKE_FUNCTION(delta);
WINDOW_FUNCTION(irate);
WINDOW_FUNCTION(idelta);
WINDOW_FUNCTION(resets);
WINDOW_FUNCTION(changes);

/* functions_extended.c: anchored and smoothed ranges. */
/* The increase between the ends of an extended range, or false if there is none. */
bool extended_increase(const struct window *window, bool counter, bool per_second,
                       double *ret_value);
/* An anchored range begins with the last sample at or before its start; false if no sample is
 * later than that. */
bool extended_anchor(struct window *window);
/* ERR_INVALID if a range given to the call has a modifier the function does not take. */
int extended_check(struct evaluation *ev, const struct node *call);

/* functions_rolled.c: the same where a window has records of a roll-up in it. */
#define EXTRAPOLATION_THRESHOLD 1.1 /* of the average distance of samples */
ROLLED_FUNCTION(rate);
ROLLED_FUNCTION(increase);
ROLLED_FUNCTION(delta);
ROLLED_FUNCTION(resets);
ROLLED_FUNCTION(changes);
ROLLED_FUNCTION(avg_over_time);
ROLLED_FUNCTION(count_over_time);
ROLLED_FUNCTION(first_over_time);
ROLLED_FUNCTION(max_over_time);
ROLLED_FUNCTION(min_over_time);
ROLLED_FUNCTION(sum_over_time);
ROLLED_FUNCTION(ts_of_first_over_time);
/* Elements [first, next) are in the window that ends at until_ms.  Where it is narrower than the
 * buckets of the records before its end: true, and the window is the last of them. */
bool rolled_narrow(const struct range_series *series, size_t first, size_t next, int64_t until_ms,
                   int64_t range_ms, size_t *ret_first, double *ret_share);

/* functions_trend.c */
WINDOW_FUNCTION(deriv);
WINDOW_FUNCTION(predict_linear);
ALIKE_FUNCTION(deriv);
ALIKE_FUNCTION(predict_linear);
WINDOW_FUNCTION(double_exponential_smoothing);

/* functions_over_time.c */
WINDOW_FUNCTION(avg_over_time);
ALIKE_FUNCTION(avg_over_time);
ALIKE_FUNCTION(sum_over_time);
WINDOW_FUNCTION(count_over_time);
WINDOW_FUNCTION(first_over_time);
WINDOW_FUNCTION(last_over_time);
WINDOW_FUNCTION(mad_over_time);
WINDOW_FUNCTION(max_over_time);
WINDOW_FUNCTION(min_over_time);
WINDOW_FUNCTION(present_over_time);
WINDOW_FUNCTION(quantile_over_time);
WINDOW_FUNCTION(stddev_over_time);
WINDOW_FUNCTION(stdvar_over_time);
WINDOW_FUNCTION(sum_over_time);
WINDOW_FUNCTION(ts_of_first_over_time);
WINDOW_FUNCTION(ts_of_last_over_time);
WINDOW_FUNCTION(ts_of_max_over_time);
WINDOW_FUNCTION(ts_of_min_over_time);

/* functions_vector.c */
WHOLE_FUNCTION(absent);
WHOLE_FUNCTION(absent_over_time);
WHOLE_FUNCTION(empty);
WHOLE_FUNCTION(max_of);
WHOLE_FUNCTION(min_of);
WHOLE_FUNCTION(pi);
WHOLE_FUNCTION(scalar);
WHOLE_FUNCTION(vector);

/* functions_sort.c */
WHOLE_FUNCTION(sort);
WHOLE_FUNCTION(sort_desc);
WHOLE_FUNCTION(sort_by_label);
WHOLE_FUNCTION(sort_by_label_desc);

/* functions_label.c */
WHOLE_FUNCTION(label_join);
WHOLE_FUNCTION(label_replace);

/* functions_histogram.c */
WHOLE_FUNCTION(histogram_fraction);
WHOLE_FUNCTION(histogram_quantile);
WHOLE_FUNCTION(histogram_quantiles);

/* functions_info.c */
WHOLE_FUNCTION(info);
