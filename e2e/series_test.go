package e2e

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"weir/internal/agent"
	"weir/internal/weirtest"
)

// countingClients ask a load balancer again and again, and counts what came of it by class of status.
type countingClients struct {
	t    *testing.T
	url  string
	mu   sync.Mutex
	got  map[string]int // by class, "sent" for all
	stop func()
}

func (w *world) countingClients(addr string, clients int) *countingClients {
	c := &countingClients{t: w.t, url: "http://" + addr, got: map[string]int{}}
	ctx, cancel := context.WithCancel(w.t.Context())
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { c.ask(ctx, i) })
	}
	c.stop = func() {
		cancel()
		all.Wait()
	}
	w.t.Cleanup(c.stop)
	return c
}

// ask goes on until ctx ends; a request that was begun is finished.
func (c *countingClients) ask(ctx context.Context, client int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for i := client; ctx.Err() == nil; i++ {
		path := []string{"/", "/", "/gone", "/broken", "/"}[i%5]
		request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
		if err != nil {
			c.t.Error(err)
			return
		}
		request.Host = "www.example.com"
		answer, err := transport.RoundTrip(request)
		if err != nil {
			c.t.Errorf("client %d: %v", client, err)
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		c.mu.Lock()
		c.got["sent"]++
		c.got[fmt.Sprintf("%dxx", answer.StatusCode/100)]++
		c.mu.Unlock()
	}
}

// reached waits until so many have been answered.
func (c *countingClients) reached(n int) {
	c.t.Helper()
	weirtest.Eventually(c.t, waitLong, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.got["sent"] < n {
			return fmt.Errorf("%d of %d requests", c.got["sent"], n)
		}
		return nil
	})
}

func (c *countingClients) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got["sent"]
}

// summed gives how much there was of figures of an object since the test began: rates times the width of their points.
func (w *world) summed(object string, figures ...string) (map[string]float64, error) {
	var s struct {
		Step   float64
		Source string
		Of     []struct{ Figures map[string][]*float64 }
	}
	if _, err := w.call("GET", "/api/v1/series?of="+object+"&figures="+strings.Join(figures, ",")+"&from=-15m&step=10s", "", &s); err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for name, points := range s.Of[0].Figures {
		for _, v := range points {
			if v != nil {
				sums[name] += *v * s.Step
			}
		}
	}
	return sums, nil
}

// scraped sums up a figure of /metrics over all its series that have some labels.
func (w *world) scraped(name string, labels map[string]string) (sum float64) {
	w.t.Helper()
	answer, err := http.Get("http://" + w.at(w.host).String() + ":7444/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
series:
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		for k, v := range labels {
			if has[k] != v {
				continue series
			}
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// TestFiguresAreWhatClientsCount lets clients count what they send and get, over reloads of HAProxy, while an agent ends
// and another begins under systemd, and in between; the figures of the API, summed up over time, and those of /metrics are the same within a hundredth.
func TestFiguresAreWhatClientsCount(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		origin := w.origin(200, "web1")
		origin.SetStatus("/gone", 404)
		origin.SetStatus("/broken", 500)
		w.apply(w.oneZone())
		one := &runningAgent{name: "lb1", haproxy: h}
		one.dir = w.dir + "/lb1"
		keeper := newKeeper(t)
		manager := keeper.first()
		one.edit = func(o *agent.Options) { o.StopWithAgent, o.Manager = false, manager }
		w.joinAs(one, "edge", "az1", "")
		w.converged(1)
		w.health("web", "web1", "up")
		vip := w.at(17).String() + ":8080"
		c := w.countingClients(vip, 4)
		c.reached(2000)
		reloads := w.reloads()
		w.converged(w.apply("kind: Tuning\nmetadata: {name: default}\nspec: {maxConnections: 3000, ports: [{port: 8080, mode: http}, {port: 8443, mode: https}]}"))
		if w.reloads() == reloads {
			t.Error("nothing was reloaded: the test shows less than it says")
		}
		c.reached(c.sent() + 2000)
		c.stop()
		first := c.got
		one.stop()
		// What HAProxy logs while no agent runs waits in the socket that systemd keeps: not more than fits into a small one,
		// and more than a hundredth of all.
		for range 200 {
			if status, _, err := w.get(vip, "www.example.com", "/"); err != nil || status != 200 {
				t.Fatal(status, err)
			}
		}
		manager = keeper.next()
		w.startAgent(one)
		w.converged(2)
		c = w.countingClients(vip, 4)
		c.reached(2000)
		c.stop()
		c.got["sent"], c.got["2xx"] = c.got["sent"]+200, c.got["2xx"]+200
		for class, n := range first {
			c.got[class] += n
		}
		near := func(what string, got float64, class string) error {
			if want := float64(c.got[class]); math.Abs(got-want) > want/100 {
				return fmt.Errorf("%s: %.0f, and clients counted %.0f", what, got, want)
			}
			return nil
		}
		figures := []string{"requests", "requests.2xx", "requests.4xx", "requests.5xx"}
		names := []string{"sent", "2xx", "4xx", "5xx"}
		weirtest.Eventually(t, 2*waitLong, func() error {
			for _, object := range []string{"Site/www", "Pool/web", "Pool/web/Server/web1", "Server/web1", "LoadBalancer/lb1", "Fleet"} {
				sums, err := w.summed(object, figures...)
				if err != nil {
					return err
				}
				for i, figure := range figures {
					if err := near(object+" "+figure, sums[figure], names[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for _, class := range names[1:] {
			for what, n := range map[string]float64{
				"weir_requests_total":            w.scraped("weir_requests_total", map[string]string{"site": "www", "class": class}),
				"weir_haproxy_pool_counts_total": w.scraped("weir_haproxy_pool_counts_total", map[string]string{"pool": "web", "counter": "responses" + class}),
			} {
				if err := near(what+" of "+class, n, class); err != nil {
					t.Error(err)
				}
			}
		}
		if err := near("weir_request_duration_seconds", w.scraped("weir_request_duration_seconds", map[string]string{"site": "www"}), "sent"); err != nil {
			t.Error(err)
		}
		w.toldOfMachines()
		one.stop()
		w.killHAProxy(one)
	})
}

// toldOfMachines waits until the load balancer's machine is told of.
func (w *world) toldOfMachines() {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		sums, err := w.summed("LoadBalancer/lb1", "cpu", "memory.used", "memory.total", "haproxy.memory", "p95", "queue.p50", "connect.p99", "response.p90")
		if err != nil {
			return err
		}
		for _, name := range []string{"cpu", "memory.used", "haproxy.memory", "p95", "queue.p50", "connect.p99", "response.p90"} {
			if sums[name] <= 0 {
				return fmt.Errorf("%s is %f", name, sums[name])
			}
		}
		if sums["memory.used"] >= sums["memory.total"] {
			return fmt.Errorf("%f of %f bytes are used", sums["memory.used"], sums["memory.total"])
		}
		return nil
	})
}
