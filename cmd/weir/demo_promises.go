package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"charm.land/lipgloss/v2"

	"weir"
	"weir/internal/haproxy"
)

// promise is something that the demo shows to hold.
type promise struct {
	name  string
	check func(context.Context) (string, error)
}

// checkPromises tries what Weir promises, one after the other under traffic, and says what held.
func (d *demo) checkPromises(ctx context.Context) error {
	deadline := d.began.Add(time.Duration(d.options.seconds) * time.Second)
	promises := []promise{
		{"converged", d.promiseConverged},
		{"no reload", d.promiseNoReload},
		{"plan tells the truth", d.promisePlan},
		{"one bad object harms nobody else", d.promiseQuarantine},
		{"static stability", d.promiseStability},
		{"no failed request", func(ctx context.Context) (string, error) { return d.promiseTraffic(ctx, deadline) }},
	}
	held := true
	for _, p := range promises {
		text, err := p.check(ctx)
		if ctx.Err() != nil {
			return context.Canceled
		}
		word := "held"
		if err != nil {
			word, text, held = "BROKEN", err.Error(), false
		}
		d.out.line(promiseLine(d.out, p.name, word, text))
	}
	if !held {
		return errPromise
	}
	return nil
}

// promiseLine is one line, or on a narrow screen as many as it takes below the first.
func promiseLine(s *screen, name, word, text string) string {
	line := fmt.Sprintf("promise  %-31s  %s", name, s.paint(map[string]tone{"held": good, "BROKEN": bad}[word], word))
	if whole := line + "  " + oneLine(text); s.width == 0 || lipgloss.Width(whole) <= s.width {
		return whole
	}
	return line + "\n" + s.wrapped("         ", oneLine(text))
}

func (d *demo) promiseConverged(ctx context.Context) (string, error) {
	status, err := d.fleet(ctx)
	if err != nil {
		return "", err
	}
	g := status.Groups[0]
	if g.Ready != 6 || g.Of != 6 {
		return "", fmt.Errorf("%d of %d load balancers; not %s", g.Ready, g.Of, strings.Join(g.Laggards, ", "))
	}
	return fmt.Sprintf("6/6 load balancers were read back to have revision %d", status.Revision), nil
}

// reloads counts the fleet's reloads, and says whether every HAProxy can do without.
func (d *demo) reloads(ctx context.Context) (count int, dynamic bool, err error) {
	status, err := d.fleet(ctx)
	if err != nil {
		return 0, false, err
	}
	dynamic = true
	for _, lb := range status.Groups[0].LoadBalancers {
		count += lb.Reloads.Count
		v, err := haproxy.ParseVersion(lb.HAProxy)
		dynamic = dynamic && err == nil && v.Capabilities().DynamicBackends
	}
	return count, dynamic, nil
}

// promiseNoReload drains, weighs, adds a server and a whole site.
func (d *demo) promiseNoReload(ctx context.Context) (string, error) {
	before, dynamic, err := d.reloads(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	until := began.Add(time.Hour).UTC().Format(time.RFC3339)
	steps := []string{
		fmt.Sprintf("kind: Override\nmetadata: {name: demo-drain, role: web}\nspec: {server: web-az1-1, state: drain, reason: demo, expiresAt: %s}\n", until),
		fmt.Sprintf("kind: Override\nmetadata: {name: demo-weight, role: web}\nspec: {server: web-az2-1, weight: 7, reason: demo, expiresAt: %s}\n", until),
		fmt.Sprintf("kind: Server\nmetadata: {name: web-az3-4, role: web}\nspec: {address: %s, zone: az3, clusters: [web], ports: {http: %d}}\n", d.originAddress(3, 4), d.ports.origin),
		"kind: Pool\nmetadata: {name: fresh, role: web}\nspec: {selector: {role: web, clusters: [api]}, port: http, healthCheck: {path: /ping, interval: 200ms, rise: 1}}\n---\n" +
			"kind: Site\nmetadata: {name: fresh, role: web}\nspec: {hostnames: [fresh.demo.example], addresses: [www-az1, www-az2, www-az3], listeners: [{port: 80}], backends: {default: fresh}}\n",
	}
	for _, manifest := range steps {
		revision, err := d.apply(ctx, manifest, "demo: a change in normal operation")
		if err != nil {
			return "", err
		}
		if err := d.converged(ctx, revision, 20*time.Second); err != nil {
			return "", err
		}
	}
	for i := range demoNames() {
		if err := d.until(ctx, 5*time.Second, func() error { return ask(ctx, http.DefaultClient, d.web(i), "fresh.demo.example", "/") }); err != nil {
			return "", fmt.Errorf("the new site: %w", err)
		}
	}
	took := time.Since(began).Round(10 * time.Millisecond)
	after, _, err := d.reloads(ctx)
	switch {
	case err != nil:
		return "", err
	case !dynamic:
		return fmt.Sprintf("a drain, a weight, a server and a site took %s; below 3.4 the new pool is a reload, %d in all", took, after-before), nil
	case after != before:
		return "", fmt.Errorf("%d reloads", after-before)
	}
	return fmt.Sprintf("a drain, a weight, a server and a site on all six in %s, 0 reloads", took), nil
}

// promisePlan plans a change, makes it, and plans it again.
func (d *demo) promisePlan(ctx context.Context) (string, error) {
	manifest := "kind: Server\nmetadata: {name: web-az3-4, role: web}\nspec: {address: " + d.originAddress(3, 4) + ", zone: az3, clusters: [web], ports: {http: " + strconv.Itoa(d.ports.origin) + "}, weight: 50}\n"
	planned, err := d.plan(ctx, manifest)
	if err != nil {
		return "", err
	}
	if planned == 0 {
		return "", errors.New("the plan of a change names no command")
	}
	revision, err := d.apply(ctx, manifest, "demo: as planned")
	if err != nil {
		return "", err
	}
	if err := d.converged(ctx, revision, 20*time.Second); err != nil {
		return "", err
	}
	if left, err := d.plan(ctx, manifest); err != nil || left != 0 {
		return "", errors.Join(err, fmt.Errorf("after the change its plan still names %d commands", left))
	}
	return fmt.Sprintf("%d commands planned for a weight, none left after it", planned), nil
}

// plan counts the commands of a plan.
func (d *demo) plan(ctx context.Context, manifest string) (int, error) {
	var answer struct {
		Plan struct {
			LoadBalancers []struct {
				Commands []string
				Reload   []struct{ Text string }
			}
		}
	}
	err := d.client.do(ctx, call{
		method: http.MethodPost, path: "plan", body: []byte(manifest), header: http.Header{"Content-Type": {"application/yaml"}},
	}, &answer)
	n := 0
	for _, lb := range answer.Plan.LoadBalancers {
		n += len(lb.Commands) + len(lb.Reload)
	}
	return n, err
}

// promiseQuarantine declares a site whose regex HAProxy refuses.
func (d *demo) promiseQuarantine(ctx context.Context) (string, error) {
	_, err := d.apply(ctx, "kind: Site\nmetadata: {name: broken, role: web}\nspec: {hostnames: [broken.demo.example], addresses: [www-az1], listeners: [{port: 80}], backends: {default: api}, routes: [{match: {path: {regex: '/(?<x'}}, backend: default}]}\n", "demo: a regex that HAProxy refuses")
	if err != nil {
		return "", err
	}
	err = d.until(ctx, 20*time.Second, func() error {
		var o weir.Object
		raw := struct {
			Status *weir.Status `json:"status"`
		}{}
		if err := d.client.get(ctx, "sites/broken", nil, &raw); err != nil {
			return err
		}
		o.Status = raw.Status
		if o.Status != nil {
			for _, c := range o.Status.Conditions {
				if c.Type == weir.Quarantined && c.Status == "True" && strings.Count(c.Message, "lb-az") >= 6 {
					return nil
				}
			}
		}
		return errors.New("the bad site is not in quarantine on all six")
	})
	if err != nil {
		return "", err
	}
	for i := range demoNames() {
		for _, host := range []string{"www.demo.example", "fresh.demo.example"} {
			if err := ask(ctx, http.DefaultClient, d.web(i), host, "/"); err != nil {
				return "", err
			}
		}
	}
	if err := d.client.do(ctx, call{method: http.MethodDelete, path: "sites/broken"}, nil); err != nil {
		return "", err
	}
	return "a regex that HAProxy refuses was held on 6 load balancers and says why; the others serve", d.converge(ctx)
}

// promiseStability ends the control plane and one agent without warning, and brings both back.
func (d *demo) promiseStability(ctx context.Context) (string, error) {
	okBefore, failedBefore, _ := d.traffic.counts()
	_ = d.server.cmd.Process.Signal(syscall.SIGKILL)
	<-d.server.done
	if err := d.until(ctx, 10*time.Second, func() error {
		if ok, _, _ := d.traffic.counts(); ok < okBefore+200 {
			return errors.New("the traffic has stopped")
		}
		return nil
	}); err != nil {
		return "", err
	}
	_, failed, last := d.traffic.counts()
	if failed > failedBefore {
		return "", fmt.Errorf("%d requests failed without the control plane, the last: %s", failed-failedBefore, last)
	}
	if err := d.startServer(ctx); err != nil {
		return "", err
	}
	revision, err := d.apply(ctx, "kind: Zone\nmetadata: {name: az1, labels: {seen: again}}\n---\nkind: Server\nmetadata: {name: web-az3-4, role: web}\nspec: {address: "+d.originAddress(3, 4)+", zone: az3, clusters: [web], ports: {http: "+strconv.Itoa(d.ports.origin)+"}, weight: 60}\n", "demo: after the control plane came back")
	if err != nil {
		return "", err
	}
	if err := d.converged(ctx, revision, 30*time.Second); err != nil {
		return "", err
	}
	return "200 requests without a control plane, 0 failed; back and 6/6 again", nil
}

// promiseTraffic lets the traffic go on until the end of the demo.
func (d *demo) promiseTraffic(ctx context.Context, deadline time.Time) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(time.Until(deadline)):
	}
	ok, failed, last := d.traffic.counts()
	if failed > 0 || ok == 0 {
		return "", fmt.Errorf("%d of %d requests failed, the last: %s", failed, ok+failed, last)
	}
	return fmt.Sprintf("%d requests to six load balancers, 0 failed", ok), nil
}
