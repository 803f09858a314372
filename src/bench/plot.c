// SPDX-License-Identifier: BSD-2-Clause
#include "bench/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "bench/plot_axis.h"
#include "bench/report.h"

#define LEFT 76
#define WIDTH 800
#define PLOT_WIDTH (WIDTH - LEFT - 24)
#define PANEL_HEIGHT 150
#define STEP 222 // from panel to panel
#define TOP 100
#define HEIGHT (TOP + 3 * STEP - 20)

// Both schemes bring their own background: a picture may stand on any page.
static const char style[] =
    "<style>\n"
    "text{font:12px system-ui,sans-serif;fill:#333}\n"
    ".title{font-size:17px;font-weight:600}.sub{fill:#666}.head{font-weight:600}\n"
    ".back{fill:#fff}.grid{stroke:#e2e2e2}.line{fill:none;stroke-width:2}\n"
    ".a{stroke:#1f6feb}.b{stroke:#8a8f98;stroke-dasharray:5 "
    "3}.c{stroke:#bf5b00}.d{stroke:#b3168a}\n"
    ".fill{fill:#1f6feb}.loss{fill:#d1242f}.r{text-anchor:end}.m{text-anchor:middle}\n"
    "@media (prefers-color-scheme:dark){text{fill:#ddd}.sub{fill:#a0a0a0}.back{fill:#16181d}"
    ".grid{stroke:#33373f}.a{stroke:#6cb0ff}.b{stroke:#9aa0aa}.c{stroke:#ffa657}.d{stroke:#f08fd5}"
    ".fill{fill:#6cb0ff}.loss{fill:#ff7b72}}\n"
    "</style>\n";

struct panel {
    FILE *f;
    double top;
    struct plot_axis y;
};

static void put_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        default:
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, f);
        }
    }
}

static void label(FILE *f, double x, double y, const char *class_, const char *text)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class_);
    put_text(f, text);
    fputs("</text>\n", f);
}

static double y_of(const struct panel *p, double value)
{
    return p->top + PANEL_HEIGHT * (1 - plot_axis_share(&p->y, value));
}

static double x_of(double share)
{
    return LEFT + PLOT_WIDTH * share;
}

static void grid(const struct panel *p, const char *unit)
{
    char text[32], line[64];
    for (unsigned i = 0; i < p->y.count; i++) {
        double y = y_of(p, p->y.ticks[i]);
        fprintf(p->f, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", LEFT,
                LEFT + PLOT_WIDTH, y, y);
        snprintf(line, sizeof(line), "%s%s", plot_number(p->y.ticks[i], text), unit);
        label(p->f, LEFT - 8, y + 4, "r", line);
    }
}

static void seconds_axis(const struct panel *p, double seconds)
{
    struct plot_axis x;
    char text[32], line[40];
    plot_axis_linear(&x, seconds);
    for (unsigned i = 0; i < x.count && x.ticks[i] <= seconds * 1.001; i++) {
        snprintf(line, sizeof(line), "%s s", plot_number(x.ticks[i], text));
        label(p->f, x_of(x.ticks[i] / seconds), p->top + PANEL_HEIGHT + 18, "m", line);
    }
}

// Names with a piece of their line, from right to left.
static void legend(const struct panel *p, const char *const *names, const char *const *classes,
                   int n)
{
    double x = LEFT + PLOT_WIDTH;
    for (int i = n - 1; i >= 0; i--) {
        x -= (double)strlen(names[i]) * 7;
        label(p->f, x, p->top - 12, "", names[i]);
        fprintf(p->f, "<path d=\"M%.1f %.1fh18\" class=\"line %s\"/>\n", x - 24, p->top - 16,
                classes[i]);
        x -= 40;
    }
}

typedef double value_of(const struct traffic_slot *slot, double interval_s);

static double sent_of(const struct traffic_slot *s, double interval_s)
{
    return (double)s->sent / interval_s;
}

static double delivered_of(const struct traffic_slot *s, double interval_s)
{
    return (double)s->delivered / interval_s;
}

static double p50_of(const struct traffic_slot *s, double interval_s)
{
    (void)interval_s;
    return (double)s->p50_ns / 1e3;
}

static double p90_of(const struct traffic_slot *s, double interval_s)
{
    (void)interval_s;
    return (double)s->p90_ns / 1e3;
}

static double p99_of(const struct traffic_slot *s, double interval_s)
{
    (void)interval_s;
    return (double)s->p99_ns / 1e3;
}

// A line over time; what is 0 in a time of nothing leaves a gap when skip_zero.
static void curve(const struct panel *p, const struct traffic_result *r, value_of *value,
                  const char *class_, bool skip_zero)
{
    double interval = (double)r->interval_ns / 1e9;
    bool pen = false;
    fprintf(p->f, "<path class=\"line %s\" d=\"", class_);
    for (uint32_t i = 0; i < r->slot_count; i++) {
        double v = value(&r->slots[i], interval);
        if (skip_zero && !(v > 0)) {
            pen = false;
            continue;
        }
        fprintf(p->f, "%c%.1f %.1f", pen ? 'L' : 'M', x_of((i + 0.5) / r->slot_count), y_of(p, v));
        // One point alone would not be seen.
        if (r->slot_count == 1)
            fprintf(p->f, "h2");
        pen = true;
    }
    fputs("\"/>\n", p->f);
}

static double greatest(const struct traffic_result *r, value_of *value)
{
    double most = 0;
    for (uint32_t i = 0; i < r->slot_count; i++)
        most = fmax(most, value(&r->slots[i], (double)r->interval_ns / 1e9));
    return most;
}

// Where packets are missing, a bar from the top: its length is the share, 1 % at least to be seen.
static void losses(const struct panel *p, const struct traffic_result *r)
{
    double width = fmax((double)PLOT_WIDTH / r->slot_count, 1);
    for (uint32_t i = 0; i < r->slot_count; i++) {
        double lost = report_loss(r->slots[i].sent, r->slots[i].delivered);
        if (lost > 0)
            fprintf(p->f,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"loss\">"
                    "<title>%.4f %% lost</title></rect>\n",
                    x_of((double)i / r->slot_count), p->top, width,
                    PANEL_HEIGHT * fmax(lost, 1.5) / 100, lost);
    }
}

static void rates(FILE *f, const struct traffic_result *r, double seconds)
{
    static const char *const names[] = {"sent", "delivered"}, *const classes[] = {"b", "a"};
    struct panel p = {.f = f, .top = TOP};
    char lost[96];

    plot_axis_linear(&p.y, fmax(greatest(r, sent_of), 1));
    snprintf(lost, sizeof(lost), "Packets/s, and lost %% from the top (%.4f %% in all)",
             report_loss(r->sent, r->delivered));
    label(f, LEFT, p.top - 12, "head", lost);
    grid(&p, "");
    seconds_axis(&p, seconds);
    losses(&p, r);
    curve(&p, r, delivered_of, "a", false);
    curve(&p, r, sent_of, "b", false);
    legend(&p, names, classes, 2);
}

static void latencies(FILE *f, const struct traffic_result *r, double seconds)
{
    static const char *const names[] = {"p50", "p90", "p99"}, *const classes[] = {"a", "c", "d"};
    struct panel p = {.f = f, .top = TOP + STEP};
    double least = greatest(r, p99_of);

    for (uint32_t i = 0; i < r->slot_count; i++) {
        if (r->slots[i].p50_ns)
            least = fmin(least, p50_of(&r->slots[i], 1));
    }
    plot_axis_log(&p.y, fmax(least, 1), fmax(greatest(r, p99_of), 1));
    label(f, LEFT, p.top - 12, "head", "Latency over time, us");
    grid(&p, "");
    seconds_axis(&p, seconds);
    curve(&p, r, p50_of, "a", true);
    curve(&p, r, p90_of, "c", true);
    curve(&p, r, p99_of, "d", true);
    legend(&p, names, classes, 3);
}

static void histogram(FILE *f, const struct histogram *h)
{
    struct panel p = {.f = f, .top = TOP + 2 * STEP};
    struct histogram_bar bars[HISTOGRAM_BARS];
    size_t n = histogram_bars(h, bars), every;
    double most = 1, width;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)bars[i].count);
    // Counts of one are seen beside millions only on a scale of powers.
    plot_axis_log(&p.y, 1, most);
    label(f, LEFT, p.top - 12, "head", "Histogram of latencies: packets up to so many us");
    grid(&p, "");
    width = (double)PLOT_WIDTH / (double)(n ? n : 1);
    every = n / 12 + 1;
    for (size_t i = 0; i < n; i++) {
        char text[32];
        double x = LEFT + width * (double)i, y = y_of(&p, (double)bars[i].count);
        if (bars[i].count)
            fprintf(f,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"fill\">"
                    "<title>%.1f to %.1f us: %llu</title></rect>\n",
                    x + 0.5, fmin(y, p.top + PANEL_HEIGHT - 2), fmax(width - 1, 1),
                    fmax(p.top + PANEL_HEIGHT - y, 2), (double)bars[i].from / 1e3,
                    (double)bars[i].to / 1e3, (unsigned long long)bars[i].count);
        if (i % every == every - 1)
            label(f, x + width, p.top + PANEL_HEIGHT + 18, "m",
                  plot_number((double)bars[i].to / 1e3, text));
    }
}

void plot_write(FILE *f, const char *title, const char *subtitle, const struct traffic_result *r)
{
    double seconds = (double)r->slot_count * (double)r->interval_ns / 1e9;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\">\n<title>",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_text(f, title);
    fprintf(f, "</title>\n%s<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n", style, WIDTH,
            HEIGHT);
    label(f, 24, 32, "title", title);
    label(f, 24, 54, "sub", subtitle);
    if (r->slot_count) {
        rates(f, r, seconds);
        latencies(f, r, seconds);
        histogram(f, &r->latency);
    }
    fputs("</svg>\n", f);
}

int plot_traffic(const struct bench_options *o, const struct bench_target *t, double rate,
                 const struct traffic_result *r)
{
    char title[160], subtitle[200], server[ADDR_STRLEN];
    FILE *f = fopen(o->plot, "we");
    int failed;

    if (!f)
        return bench_fail("%s: %s", o->plot, strerror(errno));
    snprintf(title, sizeof(title), "turnpike-bench %s: %s over %s", o->command_name,
             addr_format(&t->server, server), transport_name(t->transport));
    snprintf(subtitle, sizeof(subtitle),
             "%zu clients, %.0f packets/s for %.1f s, %.0f/s delivered; p50 %.1f us, p99 %.1f us",
             o->clients, rate, r->seconds, (double)r->delivered / fmax(r->seconds, 0.001),
             (double)histogram_quantile(&r->latency, 0.5) / 1e3,
             (double)histogram_quantile(&r->latency, 0.99) / 1e3);
    plot_write(f, title, subtitle, r);
    failed = ferror(f);
    return fclose(f) != 0 || failed ? bench_fail("%s: it cannot be written", o->plot) : 0;
}
