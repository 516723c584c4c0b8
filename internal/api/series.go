package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

// SeriesFigure is a figure that is kept over time.
type SeriesFigure struct {
	Name string `json:"name"`
	// Unit is 1/s, B/s, B, ms, share (0 to 1), or empty for plain numbers.
	Unit string `json:"unit"`
	Doc  string `json:"doc"`
}

// SeriesFigures are the figures by kind of object: Site, Pool, Server, LoadBalancer, Fleet.
type SeriesFigures struct {
	Figures map[string][]SeriesFigure `json:"figures"`
}

// SeriesQuery asks for figures of objects.
type SeriesQuery struct {
	Objects, Figures []string
	// From is when the first of Points begins, Step is how wide each is: a multiple of ten seconds.
	From   time.Time
	Step   time.Duration
	Points int
}

// Series is what figures were in a stretch of time.
type Series struct {
	// Step is the width of a point in seconds, From when the first begins, in seconds since 1970.
	Step int64      `json:"step"`
	From int64      `json:"from"`
	Of   []SeriesOf `json:"of"`
	// Source is memory, or prometheus where it was asked for more than memory has.
	Source string `json:"source"`
}

// SeriesOf are the figures of one object.
type SeriesOf struct {
	Object string `json:"object"`
	// Figures are by name, a value for each point; null where nothing is known. Figures that the object's kind does not have
	// are left out.
	Figures map[string][]Point `json:"figures"`
}

// SeriesSource knows figures over time. Objects are named as Site/www, Pool/web, Server/a in all its pools,
// Pool/web/Server/a in one, LoadBalancer/lb1, Fleet.
type SeriesSource interface {
	// Traffic tells of objects what they did in the last minute and hour, of those of which anything is known.
	Traffic(objects ...string) map[string]Traffic
	// Minute is Traffic without sparks, for thousands of objects at once, as to order them.
	Minute(objects ...string) map[string]Traffic
	// Figures gives the figures of each kind, KindOf the kind of an object, empty for what is none.
	Figures() map[string][]SeriesFigure
	KindOf(object string) string
	// Series gives figures that the objects' kinds have. It may ask another program; then errors are of kind Unavailable
	// and say what that said.
	Series(ctx context.Context, q SeriesQuery) (Series, error)
}

// The bounds of one question: what a page shows, and no more than a few milliseconds of work.
const (
	maxSeriesObjects = 100
	maxSeriesFigures = 40
	maxSeriesPoints  = 1500
	maxSeriesValues  = 120_000
	maxSeriesRange   = 400 * 24 * time.Hour
	seriesStep       = 10 * time.Second
	// usualPoints is about how many points there are when no step is asked for.
	usualPoints = 360
)

var seriesParams = []param{
	{name: "of", kind: "string", doc: "An object: Site/www, Pool/web, Server/a (in all its pools), Pool/web/Server/a, LoadBalancer/lb1 or Fleet; at most 100.", many: true},
	{name: "figures", kind: "string", doc: "Names of figures with commas between, as requests,errors.server,p95."},
	{name: "from", kind: "string", doc: "When to begin: -1h, -7d, seconds since 1970, or 2026-12-06T10:00:00Z; an hour ago when left out."},
	{name: "until", kind: "string", doc: "When to end, in the same way, or now, which it is when left out."},
	{name: "step", kind: "string", doc: "The width of a point, a multiple of 10s; what gives about 360 points when left out."},
}

func seriesRoutes() []*route {
	return []*route{
		{method: "GET", pattern: "/api/v1/series", id: "series", summary: "Tell figures over time of sites, pools, servers, load balancers and the fleet.", query: seriesParams, answer: reflect.TypeFor[Series](), handle: (*call).series},
		{method: "GET", pattern: "/api/v1/series/figures", id: "seriesFigures", summary: "List the figures that are kept over time, by kind of object.", answer: reflect.TypeFor[SeriesFigures](), handle: (*call).seriesFigures},
	}
}

// over gives what knows figures over time.
func (c *call) over() (SeriesSource, error) {
	if err := c.granted(weir.Viewer); err != nil {
		return nil, err
	}
	if c.h.opts.Series == nil {
		return nil, weir.Errorf(weir.Unavailable, "this control plane keeps no figures over time")
	}
	return c.h.opts.Series, nil
}

func (c *call) seriesFigures() error {
	source, err := c.over()
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, SeriesFigures{source.Figures()})
}

func (c *call) series() error {
	source, err := c.over()
	if err != nil {
		return err
	}
	q, err := c.seriesQuery(source)
	if err != nil {
		return err
	}
	answer, err := source.Series(c.r.Context(), q)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, answer)
}

func (c *call) seriesQuery(source SeriesSource) (q SeriesQuery, err error) {
	q.Objects = c.r.URL.Query()["of"]
	if n := len(q.Objects); n == 0 || n > maxSeriesObjects {
		return q, queryProblem("of", fmt.Sprintf("%d objects", n), fmt.Sprintf("1 to %d objects, as of=Site/www&of=Fleet", maxSeriesObjects))
	}
	kinds := map[string]bool{}
	for _, object := range q.Objects {
		kind := source.KindOf(object)
		if err := c.maySeries(kind, object); err != nil {
			return q, err
		}
		kinds[kind] = true
	}
	q.Figures = strings.Split(c.text("figures"), ",")
	if len(q.Figures) > maxSeriesFigures {
		return q, queryProblem("figures", fmt.Sprintf("%d figures", len(q.Figures)), fmt.Sprintf("at most %d", maxSeriesFigures))
	}
	all := source.Figures()
	for _, name := range q.Figures {
		if !hasFigure(all, kinds, name) {
			return q, queryProblem("figures", name, "figures of the objects' kinds, as requests,p95; GET /api/v1/series/figures lists them")
		}
	}
	if err := c.seriesTime(&q); err != nil {
		return q, err
	}
	if n := len(q.Objects) * len(q.Figures) * q.Points; n > maxSeriesValues {
		return q, queryProblem("step", c.text("step"), fmt.Sprintf("wider, or fewer objects or figures: these are %d values, and %d are given at once", n, maxSeriesValues))
	}
	return q, nil
}

// maySeries says why the caller may not see an object's figures, or nil: who may read it may, and who has any right the
// fleet and its load balancers.
func (c *call) maySeries(kind, object string) error {
	of, name, _ := strings.Cut(object, "/")
	name, _, member := strings.Cut(name, "/Server/")
	switch {
	case kind == "":
		return queryProblem("of", object, "an object with figures: Site/www, Pool/web, Server/a, Pool/web/Server/a, LoadBalancer/lb1 or Fleet")
	case kind == "Fleet":
		return nil
	case member:
		of = "Pool"
	}
	ref := weir.Ref{Kind: of, Name: name}
	o := c.h.opts.Store.View().Get(ref)
	if o == nil {
		return c.noSuch(ref)
	}
	return c.may(o)
}

func hasFigure(all map[string][]SeriesFigure, kinds map[string]bool, name string) bool {
	for kind := range kinds {
		if slices.ContainsFunc(all[kind], func(f SeriesFigure) bool { return f.Name == name }) {
			return true
		}
	}
	return false
}

// seriesTime reads which stretch of time is asked for. Points begin at multiples of their width, so that the same moments
// are told of in the same points whenever it is asked.
func (c *call) seriesTime(q *SeriesQuery) error {
	now := c.h.opts.Clock()
	until, ok := moment(c.text("until"), now, now)
	if !ok {
		return queryProblem("until", c.text("until"), "a time such as now, -1h, seconds since 1970 or 2026-12-06T10:00:00Z")
	}
	from, ok := moment(c.text("from"), now, until.Add(-time.Hour))
	length := until.Sub(from)
	if !ok || length <= 0 || length > maxSeriesRange {
		return queryProblem("from", c.text("from"), "a time before until, and not more than 400 days before, such as -1h, seconds since 1970 or 2026-12-06T10:00:00Z")
	}
	q.Step = (length/usualPoints + seriesStep - 1).Truncate(seriesStep)
	if text := c.text("step"); text != "" {
		if q.Step, ok = stretch(text); !ok || q.Step < seriesStep || q.Step%seriesStep != 0 {
			return queryProblem("step", text, "a multiple of 10s")
		}
	}
	q.Step = max(q.Step, seriesStep)
	width := int64(q.Step / time.Second)
	begin := from.Unix() / width * width
	points := (until.Unix() - begin + width - 1) / width
	if points > maxSeriesPoints {
		return queryProblem("step", c.text("step"), fmt.Sprintf("wider: these are %d points, and at most %d are given", points, maxSeriesPoints))
	}
	q.From, q.Points = time.Unix(begin, 0), int(max(points, 1))
	return nil
}

// moment reads a time: now, -1h before now, seconds since 1970, or as in RFC 3339; empty is what is usual.
func moment(text string, now, usual time.Time) (time.Time, bool) {
	if text == "" {
		return usual, true
	}
	if text == "now" {
		return now, true
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		d, ok := stretch(back)
		return now.Add(-d), ok
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), seconds > 0 && seconds < 1<<34
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil && at.Unix() > 0
}

// stretch reads a length of time such as 90s, 1h30m or 7d.
func stretch(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
