package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/agent"
	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// overwrite is what configuration management does: it puts its own file in place and has systemd reload HAProxy.
func (u *unit) overwrite(text string) {
	u.w.t.Helper()
	u.write(text)
	if err := u.process.Signal(syscall.SIGUSR2); err != nil {
		u.w.t.Fatal(err)
	}
}

// displace is overwrite until the agent has noticed: again when the agent undid it before HAProxy had read it, since
// then nothing has happened.
func (u *unit) displace(a *runningAgent, text string) {
	u.w.t.Helper()
	before, worker := u.displaced(a), u.serving()
	u.overwrite(text)
	weirtest.Eventually(u.w.t, waitLong, func() error {
		now := u.serving()
		// In this order: a worker of the agent's own answers only after it has noticed.
		answers, err := u.answers(a)
		if u.displaced(a) != before {
			return nil
		}
		if err == nil && now == answers && now != worker {
			worker = now
			u.overwrite(text)
		}
		return fmt.Errorf("the agent has not noticed it; worker %d serves, and in place is:\n%s", now, u.text())
	})
}

// displaced is what the agent keeps of when it noticed another configuration in place, and when its own was read again.
func (u *unit) displaced(a *runningAgent) (at struct{ Displaced, Retaken time.Time }) {
	u.w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(a.dir, "takeover.json"))
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	if err != nil {
		u.w.t.Fatal(err)
	}
	return at
}

// serving is the worker that HAProxy's master tells of, 0 when it tells of none.
func (u *unit) serving() int {
	met, err := hapctl.Survey(u.w.t.Context(), u.path("master.sock"))
	if err != nil {
		return 0
	}
	return met.Worker
}

// ours waits until Weir's configuration is in place again.
func (u *unit) ours(a *runningAgent) {
	u.w.t.Helper()
	weirtest.Eventually(u.w.t, waitLong, func() error {
		if text := u.text(); !strings.Contains(text, filepath.Join(a.dir, "haproxy")) {
			return fmt.Errorf("in place is:\n%s", text)
		}
		return nil
	})
}

// TestConfigurationManagementReloads: somebody puts the configuration that was found, or another one, back and reloads HAProxy
// while the agent runs. The agent says so and takes over again, once and then rarely, without a request lost; what
// was put there is kept. Where what hands do is only reported it waits until that is changed.
func TestConfigurationManagementReloads(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		u := w.newUnit(h, "")
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		objects := w.twoServers()
		w.apply(objects)
		clients := w.send(at, "www.example.com")
		var later time.Duration
		a := w.joinUnit(u, func(o *agent.Options) {
			by := later
			o.Clock = func() time.Time { return time.Now().Add(by) }
		})
		w.converged(1)
		u.displace(a, u.found)
		u.ours(a)
		w.converged(1)
		w.says("loadbalancers/lb1", "Drifted", "False", "has put another configuration in place of Weir's", "configuration management")
		w.onlyFrom(at, "www.example.com", "web1", "web2")
		clients.more(50)
		// The second time within minutes is no fight.
		other := u.found + "# of a later run\n"
		u.displace(a, other)
		w.runs(string(link.Failed), "take "+u.path("haproxy.cfg")+" out of configuration management")
		if u.text() != other {
			t.Errorf("it was replaced again at once:\n%s", u.text())
		}
		clients.more(50)
		// Neither the agent's restart nor a change of something else begins one.
		a.stop()
		w.startAgent(a)
		w.apply(strings.Replace(objects, "tuning: default}", "tuning: default, drift: report}", 1))
		w.runs(string(link.Failed), "drift: report")
		if u.text() != other {
			t.Errorf("it was replaced although hands are only reported:\n%s", u.text())
		}
		a.stop()
		later = 10 * time.Minute
		w.startAgent(a)
		w.apply(objects)
		u.ours(a)
		w.converged(1)
		w.onlyFrom(at, "www.example.com", "web1", "web2")
		for _, text := range []string{u.found, other} {
			if _, err := os.Stat(filepath.Join(a.dir, "found", fmt.Sprintf("%x", sha256.Sum256([]byte(text))))); err != nil {
				t.Error(err)
			}
		}
		a.stop()
		if _, err := agent.HandBack(t.Context(), a.dir, agent.HandBackOptions{}); err != nil {
			t.Fatal(err)
		}
		if u.text() != u.found {
			t.Errorf("handed back was not what was found first:\n%s", u.text())
		}
		clients.more(50)
		clients.flawless()
	})
}
