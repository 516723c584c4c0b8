package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

var registrationFigures = []string{"registrations_cpu_cores", "registrations_settle_seconds", "registrations_removed"}

// Ten thousand servers that register themselves at one control plane, in fifty pools that ask for it.
const (
	registrants      = 10_000
	registrantPools  = 50
	registrantsFor   = 15 * time.Second
	registrantsAhead = 32 // that register at once
)

// measureRegistrations gives the processors that a control plane uses to keep registrations alive, then ends the process of
// all servers at once, and gives the seconds from the end of their leases until every server is marked as silent, and how
// many servers the pools have lost.
func measureRegistrations(t *testing.T) []figure {
	f := &fleet{t: t, loop: newLoop(t), where: place{weirtest.Prefix(t)}, dir: crowdDir(t), processes: map[string]*weirtest.Process{}}
	f.build()
	f.startServer()
	f.client.Timeout = time.Minute
	var pools strings.Builder
	pools.WriteString(f.platform())
	for p := range registrantPools {
		fmt.Fprintf(&pools, "---\nkind: Pool\nmetadata: {name: p%02d, role: web}\nspec: {selector: {role: web, clusters: [p%02[1]d]}, port: http, admission: registration, healthCheck: {type: none}}\n", p)
	}
	f.must(http.MethodPost, "apply?reason=bench", pools.String())
	begin := time.Now()
	heartbeat, lease := f.startRegistrants()
	t.Logf("all are registered after %.3g s; each is heard every %s", time.Since(begin).Seconds(), heartbeat)
	pid := f.processes["server"].Pid()
	f.rest(heartbeat)
	before, err := cpuTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.rest(registrantsFor)
	after, err := cpuTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	cores := (after - before).Seconds() / time.Since(began).Seconds()
	if in := f.registered(); in != registrants {
		t.Fatalf("%d servers are in the pools, of %d that register", in, registrants)
	}
	f.processes["registrants"].Kill()
	killed := time.Now()
	f.rest(lease)
	next := 0
	f.eventually("all servers are marked as silent", time.Minute, func() error { return f.silent(&next) })
	return []figure{
		{registrationFigures[0], cores, "cores"},
		{registrationFigures[1], max(0, (time.Since(killed) - lease).Seconds()), "s"},
		{registrationFigures[2], float64(registrants - f.registered()), "servers"},
	}
}

// startRegistrants registers them all, and gives how often each says so again and how long it may be silent.
func (f *fleet) startRegistrants() (heartbeat, lease time.Duration) {
	f.t.Helper()
	answer := f.must(http.MethodPost, "tokens", `{"kind":"Token","metadata":{"name":"servers"},"spec":{"subject":"servers","registration":{"role":"web","zone":"az1","names":["r*"],"anyAddress":true}}}`)
	var made struct{ Token string }
	if err := json.Unmarshal(answer, &made); err != nil {
		f.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	var out weirtest.Buffer
	f.processes["registrants"] = weirtest.CommandFunc(f.t, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "WEIR_BENCH_REGISTRANTS="+strings.Join([]string{f.url, f.ca, made.Token}, " "))
		cmd.Stdout = &out
	}, self)
	f.eventually("all servers have registered", 2*time.Minute, func() error {
		select {
		case <-f.processes["registrants"].Done():
			return errors.New("their process has ended: " + f.processes["registrants"].Output())
		default:
		}
		_, rest, ok := strings.Cut(out.String(), "registered ")
		if !ok {
			return errors.New("they have not said so")
		}
		_, err := fmt.Sscanf(strings.ReplaceAll(rest, "\n", " "), "%d %d", &heartbeat, &lease)
		return err
	})
	return heartbeat, lease
}

// registered counts the servers that the pools let take traffic.
func (f *fleet) registered() (in int) {
	f.t.Helper()
	for p := range registrantPools {
		var preview struct{ In int }
		if err := json.Unmarshal(f.must(http.MethodGet, fmt.Sprintf("pools/p%02d/preview?others=0", p), ""), &preview); err != nil {
			f.t.Fatal(err)
		}
		in += preview.In
	}
	return in
}

// silent says whether a server is not marked as silent yet, as far as one in twenty tells; next is whom to ask first.
func (f *fleet) silent(next *int) error {
	for ; *next < registrants; *next += 20 {
		var o struct {
			Spec struct{ Registration struct{ State string } }
		}
		raw, err := f.call(http.MethodGet, fmt.Sprintf("servers/r%05d", *next), "")
		if err == nil {
			err = json.Unmarshal(raw, &o)
		}
		if err != nil {
			return err
		}
		if state := o.Spec.Registration.State; state != "stale" {
			return fmt.Errorf("r%05d is %s", *next, state)
		}
	}
	return nil
}
