/* Retrying is exponential back-off with symmetric jitter. Blame is a leaky bucket: convictions fill
 * it, successes drain it, so that a machine which fails every second job is found as surely as one
 * that fails them all, and one that fails a job in fifty is left alone.
 *
 * Two doubts keep good machines in. Whoever is about to be quarantined must fail clearly more often
 * than the others: jobs that fail at random convict everyone a little. And a streak of mere
 * suspicions (failures with nothing known of the job elsewhere) must be longer than chance
 * explains, given how often the others fail: when everybody fails, the jobs are bad. */
#include "policy/retry.h"

#define RATE_NEWEST (1.0F / 8) /* weight of the newest attempt in failure_rate */
#define RATE_REDEEMED \
    0.05F /* below it earlier quarantines are forgotten: 16 good attempts after three bad ones */
#define STANDS_OUT_BY 0.3F /* beyond twice the others' rate; three failures in a row make 0.33 */
#define PEERS_MARGIN \
    0.2 /* how far off what is known of the others may be: an average over some eight attempts */
#define TOO_UNLIKELY      0.001 /* for a machine no worse than the others */
#define QUARANTINE_MS_MAX (3600 * 1000LL)

uint32_t emp_retry_executions(const struct emp_settings_retry *s, const struct emp_job_spec *job)
{
    int32_t n = job->max_retries >= 0 ? job->max_retries : s->max_retries;
    return n < 1 ? 1 : n > EMP_RETRIES_MAX ? EMP_RETRIES_MAX : (uint32_t)n;
}

int64_t emp_retry_backoff_ms(const struct emp_settings_retry *s, uint32_t counted,
                             struct emp_random *r)
{
    if (counted == 0)
        return 0;

    int64_t max = s->max_ms < 0                     ? 0
                  : s->max_ms > EMP_DURATION_MS_MAX ? EMP_DURATION_MS_MAX
                                                    : s->max_ms;
    int64_t ms = s->base_ms < 0 ? 0 : s->base_ms;
    for (uint32_t n = 1; n < counted && ms > 0 && ms < max; n++)
        ms *= 2; // below max before: cannot overflow
    if (ms > max)
        ms = max;

    double jitter = s->jitter > 0 ? s->jitter < 1 ? s->jitter : 1 : 0;
    double factor = 1 + jitter * (2 * emp_random_unit(r) - 1);
    return (int64_t)((double)ms * factor + 0.5);
}

void emp_blame_success(struct emp_blame *b)
{
    b->streak = 0;
    if (b->convictions > 0)
        b->convictions--;
    b->failure_rate -= b->failure_rate * RATE_NEWEST;
    if (b->failure_rate < RATE_REDEEMED && b->convictions == 0)
        b->quarantines = 0;
}

void emp_blame_failure(struct emp_blame *b, bool machine_fault)
{
    if (b->streak < UINT32_MAX)
        b->streak++;
    if (machine_fault)
        emp_blame_convict(b);
    b->failure_rate += (1 - b->failure_rate) * RATE_NEWEST;
}

void emp_blame_convict(struct emp_blame *b)
{
    if (b->convictions < UINT32_MAX)
        b->convictions++;
}

void emp_blame_acquit(struct emp_blame *b)
{
    if (b->streak > 0)
        b->streak--;
    /* undoes one failure's step of the average, exactly so where it was the newest */
    float before = (b->failure_rate - RATE_NEWEST) / (1 - RATE_NEWEST);
    b->failure_rate = before > 0 ? before : 0;
}

static float peers_failure(const struct emp_blame *b)
{
    return b->peers_success < 1 ? 1 - b->peers_success : 0;
}

/* Does it fail clearly more often than the others? True where nothing is known of them. */
static bool stands_out(const struct emp_blame *b)
{
    return !(b->peers_success > 0) || b->failure_rate > 2 * peers_failure(b) + STANDS_OUT_BY;
}

/* Could a machine that fails as often as the others have such a streak by chance? True where
 * nothing is known of them. */
static bool bad_luck(const struct emp_blame *b)
{
    enum { LONGEST = 64 };
    double each = (double)peers_failure(b) + PEERS_MARGIN, chance = 1;
    if (!(b->peers_success > 0) || each >= 1)
        return true;
    for (uint32_t n = 0; n < b->streak && n < LONGEST; n++)
        chance *= each;
    return chance >= TOO_UNLIKELY;
}

int64_t emp_blame_quarantine_ms(const struct emp_settings_blame *s, struct emp_blame *b)
{
    uint32_t enough = s->quarantine_failures ? s->quarantine_failures : 1;
    bool convicted = b->convictions >= enough;
    bool suspect = b->streak / 2 >= enough && !bad_luck(b);
    if (!(convicted || suspect) || !stands_out(b))
        return 0;

    int64_t ms = s->quarantine_ms > 0 ? s->quarantine_ms : 0;
    for (uint32_t n = 0; n < b->quarantines && ms > 0 && ms < QUARANTINE_MS_MAX; n++)
        ms *= 2;
    int64_t max = s->quarantine_ms > QUARANTINE_MS_MAX ? s->quarantine_ms : QUARANTINE_MS_MAX;
    b->streak = 0;
    b->convictions = 0;
    if (b->quarantines < UINT32_MAX)
        b->quarantines++;
    return ms < max ? ms : max;
}
