package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
)

// The bounds of what is asked of a Prometheus.
const (
	prometheusWithin  = 20 * time.Second
	prometheusAtOnce  = 4
	prometheusQueries = 60
	prometheusAnswer  = 8 << 20
	prometheusWords   = 300
)

// prometheus is one that scrapes this store's servers, and knows what was before the last hour.
type prometheusSource struct {
	base   string
	client *http.Client
}

// newPrometheusSource reads the URL of a Prometheus; nil when there is none.
func newPrometheusSource(text string) (*prometheusSource, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of Prometheus must be as http://prometheus.example.com:9090")
	}
	return &prometheusSource{strings.TrimSuffix(u.String(), "/"), &http.Client{
		Timeout:       prometheusWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// series asks for each figure of each object by itself.
func (p *prometheusSource) series(ctx context.Context, q api.SeriesQuery) (api.Series, error) {
	out := api.Series{Step: int64(q.Step / time.Second), From: q.From.Unix(), Of: []api.SeriesOf{}, Source: "prometheus"}
	type one struct {
		at   int
		name string
		expr string
	}
	var asked []one
	for i, object := range q.Objects {
		out.Of = append(out.Of, api.SeriesOf{Object: object, Figures: map[string][]api.Point{}})
		for _, f := range figuresNamed(object, q.Figures) {
			asked = append(asked, one{i, f.Name, expression(object, f.Name, q.Step)})
		}
	}
	if len(asked) > prometheusQueries {
		return out, weir.Errorf(weir.Invalid, "these are %d figures of more than the last hour, and Prometheus is asked for %d at once: ask for fewer objects or figures", len(asked), prometheusQueries)
	}
	ctx, cancel := context.WithTimeout(ctx, prometheusWithin)
	defer cancel()
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	places := make(chan struct{}, prometheusAtOnce)
	for _, a := range asked {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			points, err := p.ask(ctx, a.expr, q)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = weir.Errorf(weir.Unavailable, "ask Prometheus for %s of %s: %v", a.name, out.Of[a.at].Object, err)
				cancel()
			}
			out.Of[a.at].Figures[a.name] = points
		})
	}
	all.Wait()
	return out, failed
}

// ask gives what an expression was at the end of each point.
func (p *prometheusSource) ask(ctx context.Context, expr string, q api.SeriesQuery) ([]api.Point, error) {
	start := q.From.Add(q.Step)
	form := url.Values{
		"query": {expr}, "start": {strconv.FormatInt(start.Unix(), 10)}, "step": {strconv.FormatInt(int64(q.Step/time.Second), 10)},
		"end": {strconv.FormatInt(q.From.Add(time.Duration(q.Points)*q.Step).Unix(), 10)},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/api/v1/query_range", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := p.client.Do(request)
	if err != nil {
		return nil, plainly(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, prometheusAnswer+1))
	if err != nil {
		return nil, plainly(err)
	}
	if len(body) > prometheusAnswer {
		return nil, fmt.Errorf("its answer is longer than %d bytes", prometheusAnswer)
	}
	return pointsOf(answer.Status, body, start, q)
}

// plainly leaves the URL, which may hold a password, out of an error.
func plainly(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// pointsOf reads Prometheus' answer of one series, or none.
func pointsOf(status string, body []byte, start time.Time, q api.SeriesQuery) ([]api.Point, error) {
	var said struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     []struct{ Values [][2]any }
		}
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, fmt.Errorf("it answers %s and no JSON", shortWords(status))
	}
	if said.Status != "success" {
		return nil, fmt.Errorf("it answers %s and says: %s", shortWords(status), shortWords(said.Error))
	}
	if said.Data.ResultType != "matrix" || len(said.Data.Result) > 1 {
		return nil, fmt.Errorf("it gives %d series of type %s, not one of type matrix", len(said.Data.Result), shortWords(said.Data.ResultType))
	}
	points := make([]api.Point, q.Points)
	for i := range points {
		points[i] = api.Point(math.NaN())
	}
	for _, r := range said.Data.Result {
		for _, v := range r.Values {
			at, ok := v[0].(float64)
			text, tok := v[1].(string)
			n, err := strconv.ParseFloat(text, 64)
			i := int(math.Round((at - float64(start.Unix())) / q.Step.Seconds()))
			if ok && tok && err == nil && i >= 0 && i < len(points) {
				points[i] = api.Point(n)
			}
		}
	}
	return points, nil
}

// shortWords bounds what is told of another program's words.
func shortWords(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > prometheusWords {
		return string(runes[:prometheusWords]) + "…"
	}
	return text
}
