/* What the files of the forecast share: experts, their combination, and the spread around it. */
#ifndef EMP_POLICY_FORECAST_INTERNAL_H
#define EMP_POLICY_FORECAST_INTERNAL_H

#include "policy/forecast.h"

enum {
    EMP_FORECAST_DAY = 24, /* hours */
    EMP_FORECAST_WEEK = 168,
    EMP_FORECAST_AGES = 4, /* of new models: bands of age */
};

enum emp_forecast_expert {
    EMP_EXPERT_SHARE_LONG,  /* share of the fleet (days) times the fleet's profile at its present
                               level */
    EMP_EXPERT_SHARE_SHORT, /* the same with the share of the last hours */
    EMP_EXPERT_SHARE_PLAIN, /* share (days) times the profile as it usually is */
    EMP_EXPERT_LAST_HOUR,   /* the last hour, moved along the fleet's profile */
    EMP_EXPERT_LAST_10_MIN, /* the last 10 minutes, likewise: bursts */
    EMP_EXPERT_DAY,         /* own hour of day */
    EMP_EXPERT_DAY_LEVEL,   /* own hour of day at its present level */
    EMP_EXPERT_WEEK,        /* own hour of week */
    EMP_EXPERT_TSB,         /* chance of use times size: slow level of what is rare */
    EMP_EXPERT_KIND,        /* what models of its kind did at this age */
    EMP_EXPERTS,
};

/* Weights of the experts, learned over all series of a class: online least absolute deviations by
 * iteratively reweighted least squares with forgetting; weights are not negative. */
struct emp_forecast_mix {
    double gram[EMP_EXPERTS][EMP_EXPERTS], right[EMP_EXPERTS];
    double weight[EMP_EXPERTS];
};
void emp_forecast_mix_init(struct emp_forecast_mix *m);
double emp_forecast_mix_of(const struct emp_forecast_mix *m, const float x[EMP_EXPERTS]);
void emp_forecast_mix_learn(struct emp_forecast_mix *m, const float x[EMP_EXPERTS], double y);
void emp_forecast_mix_settle(struct emp_forecast_mix *m, double keep); /* new weights; forgets */

/* What came of forecasts of about the same size: how often nothing, and the ratio of what came to
 * the forecast (logarithmic bins); per half doubling of the forecast, forgetting. */
enum { EMP_SPREAD_SIZES = 60, EMP_SPREAD_RATIOS = 80 };
struct emp_forecast_spread {
    float none[EMP_SPREAD_SIZES], some[EMP_SPREAD_SIZES][EMP_SPREAD_RATIOS];
    float came[EMP_SPREAD_SIZES], said[EMP_SPREAD_SIZES];
};
void emp_forecast_spread_learn(struct emp_forecast_spread *s, double size, double y);
void emp_forecast_spread_forget(struct emp_forecast_spread *s, float keep);

/* What the spread says for forecasts of each size: made from time to time, then asked often. */
struct emp_forecast_shape {
    float none, mean;                   /* chance of nothing; mean over the forecast */
    float below[EMP_SPREAD_RATIOS + 1]; /* share of the uses that lie below each edge */
};
struct emp_forecast_shapes {
    struct emp_forecast_shape of[EMP_SPREAD_SIZES];
};
void emp_forecast_shapes_make(const struct emp_forecast_spread *s, struct emp_forecast_shapes *ret);

/* The distribution for one forecast; borrows from the shapes. */
struct emp_forecast_law {
    const struct emp_forecast_shape *shape;
    double size;
};
struct emp_forecast_law emp_forecast_law_of(const struct emp_forecast_shapes *s, double size);
double emp_forecast_law_mean(const struct emp_forecast_law *l);
double emp_forecast_law_quantile(const struct emp_forecast_law *l, double q);
double emp_forecast_law_below(const struct emp_forecast_law *l, double y); /* P(uses <= y) */

/* What is common to all series at one time and window. */
struct emp_forecast_view {
    const struct emp_forecast *f;
    enum emp_forecast_window window;
    emp_wall_ms at;
    bool aligned;             /* `at` is where the state stands: its last hour is the last hour */
    bool has_fine;            /* 10-minute counts are still kept */
    double hours;             /* of the window */
    double profile, levelled; /* the fleet's in the window: usual, and at its present level */
    double ratio, ratio_10;   /* window over the last hour (10 minutes), in the fleet's profile */
    double shape;             /* window's sum over the fleet's slow level */
};
bool emp_forecast_view_of(const struct emp_forecast *f, enum emp_forecast_window w, emp_wall_ms now,
                          struct emp_forecast_view *ret); /* false: nothing was learned yet */
bool emp_forecast_in_view(const struct emp_forecast_view *v, uint32_t series,
                          struct emp_forecast_one *ret); /* false: none; all zero */
double emp_forecast_below_in_view(const struct emp_forecast_view *v, uint32_t series, double uses);

#endif
