package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"weir"
)

// fakeSeries has figures of what it is asked for.
type fakeSeries struct{}

func (fakeSeries) Traffic(objects ...string) map[string]Traffic {
	out := map[string]Traffic{}
	for _, o := range objects {
		out[o] = Traffic{Requests: 5, ErrorRatio: Point(math.NaN()), P95MS: 12.25, Spark: []Point{1, 2}}
	}
	return out
}

func (f fakeSeries) Minute(objects ...string) map[string]Traffic { return f.Traffic(objects...) }

func (fakeSeries) Figures() map[string][]SeriesFigure {
	return map[string][]SeriesFigure{"Site": {{"requests", "1/s", "Requests."}}, "Fleet": {{"cpu", "share", "CPU."}}, "Server": {{"requests", "1/s", "Requests."}}, "LoadBalancer": {{"cpu", "share", "CPU."}}}
}

func (fakeSeries) KindOf(object string) string {
	if parts := strings.Split(object, "/"); len(parts) == 4 {
		return "Server"
	} else if weirKind := parts[0]; strings.Contains("Site Pool Server LoadBalancer Fleet", weirKind) {
		return weirKind
	}
	return ""
}

func (fakeSeries) Series(_ context.Context, q SeriesQuery) (Series, error) {
	if q.Points == 13 {
		return Series{}, weir.Errorf(weir.Unavailable, "ask Prometheus: it is away")
	}
	s := Series{Step: int64(q.Step / time.Second), From: q.From.Unix(), Source: "memory"}
	for _, o := range q.Objects {
		s.Of = append(s.Of, SeriesOf{o, map[string][]Point{q.Figures[0]: make([]Point, q.Points)}})
	}
	return s, nil
}

// Figures are shown to whom the object is, those of load balancers and the fleet to everybody with a right.
func TestSeriesByRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "PUT", "/api/v1/servers/srv", kindTable["Server"].body), 201)
	for of, want := range map[string]string{
		"Site/www": webReaders, "Pool/web/Server/a": webReaders, "Server/srv": webReaders, "LoadBalancer/lb1": granted, "Fleet": granted,
		"Site/films": "401 401 403 403 403 403 200 200 200", "Pool/media/Server/a": "401 401 403 403 403 403 200 200 200",
		"Site/none": "401 401 403 404 404 404 404 404 404", "Zone/az1": "401 401 403 400 400 400 400 400 400",
		"Fleet&of=Site/films": "401 401 403 403 403 403 200 200 200",
	} {
		figures := "requests"
		if strings.HasPrefix(of, "LoadBalancer") || strings.HasPrefix(of, "Fleet") {
			figures = "cpu"
		}
		tryEndpoint(t, w, &route{method: "GET"}, endpointRow{path: "/api/v1/series?figures=" + figures + "&of=" + of, want: want})
	}
}

// A question is understood whole or refused, with the parameter that is wrong and what it may be.
func TestSeriesQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.now.Unix()
	for query, want := range map[string]string{
		"figures=requests":                                                                  "query.of",
		"of=Site/www":                                                                       "query.figures",
		"of=Site/www&figures=requests,cpu":                                                  "query.figures",
		"of=Site/www&figures=requests&step=5s":                                              "query.step",
		"of=Site/www&figures=requests&step=25s":                                             "query.step",
		"of=Site/www&figures=requests&step=x":                                               "query.step",
		"of=Site/www&figures=requests&from=-401d":                                           "query.from",
		"of=Site/www&figures=requests&from=-5m&until=-10m":                                  "query.from",
		"of=Site/www&figures=requests&until=tomorrow":                                       "query.until",
		"of=Site/www&figures=requests&from=-1d&step=10s":                                    "query.step",
		"of=Site/www&figures=requests&width=5":                                              "query.width",
		"figures=requests" + strings.Repeat("&of=Fleet", 101):                               "query.of",
		"of=Site/www&figures=requests" + strings.Repeat(",requests", 40):                    "query.figures",
		"figures=requests" + strings.Repeat("&of=Site/www", 90) + "&from=-4h&step=10s":      "query.step",
		"figures=requests&of=Site/www&from=" + fmt.Sprint(now-300) + "&until=now&step=10s":  "",
		"figures=requests&of=Site/www&from=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z": "",
		"figures=requests,cpu&of=Site/www&of=Fleet":                                         "",
		"figures=requests&of=Site/www&from=-120s&until=now&step=10s&from=-1h":               "query.from",
	} {
		a := w.do("viewer", "GET", "/api/v1/series?"+query, "")
		if want == "" {
			w.want(a, 200)
			continue
		}
		if p := a.problem(t); a.StatusCode != 400 || len(p.Errors) != 1 || p.Errors[0].Path != want {
			t.Errorf("%.80s: %d %+v, want %s", query, a.StatusCode, p.Errors, want)
		}
	}
	s := read[Series](t, w.do("viewer", "GET", fmt.Sprintf("/api/v1/series?of=Site/www&figures=requests&from=%d&until=%d&step=60s", 6000*60+7, 6003*60+7), ""))
	if s.From != 6000*60 || s.Step != 60 || len(s.Of) != 1 || len(s.Of[0].Figures["requests"]) != 4 {
		t.Errorf("points begin at their own multiples: %+v", s)
	}
	if s := read[Series](t, w.do("viewer", "GET", "/api/v1/series?of=Site/www&figures=requests&from=-1h", "")); s.Step != 10 || len(s.Of[0].Figures["requests"]) < 360 {
		t.Errorf("an hour has %d points of %d s", len(s.Of[0].Figures["requests"]), s.Step)
	}
	a := w.do("viewer", "GET", fmt.Sprintf("/api/v1/series?of=Site/www&figures=requests&from=%d&until=%d&step=10s", 6000*60, 6000*60+130), "")
	if p := a.problem(t); a.StatusCode != 503 || !strings.Contains(p.Detail, "it is away") {
		t.Errorf("%d %+v", a.StatusCode, p)
	}
}

// What is not known is null, and numbers are as short as they are exact.
func TestPoints(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(PointsOf([]float64{0, 1.5, 1234567.8, 0.000012345678, math.NaN(), math.Inf(1)}))
	if want := "[0,1.5,1234600,0.000012346,null,null]"; err != nil || string(text) != want {
		t.Errorf("%s %v, want %s", text, err, want)
	}
	var back []Point
	if err := json.Unmarshal(text, &back); err != nil || back[1] != 1.5 || !math.IsNaN(float64(back[4])) {
		t.Errorf("%v %v", back, err)
	}
}
