package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
)

// The pace of the health watch: as fast as it is cheap, and for at most a fiftieth of the time.
const (
	healthPace     = time.Second
	healthLeast    = 50 * time.Millisecond  // between two looks, whatever HAProxy says
	healthTogether = 200 * time.Millisecond // between what HAProxy says of a server and the look: others follow
	healthShare    = 50
	healthMost     = 4 * time.Second        // however slow HAProxy or the machine is: who is not heard is taken for gone
	healthOne      = 500 * time.Microsecond // for each server: ten thousand are looked at every five seconds
	stateDump      = 5 * time.Second
)

// watchHealth reads how HAProxy sees its servers and reports that with the access log's counters.
func (a *Agent) watchHealth(ctx context.Context) {
	timer := time.NewTimer(healthPace)
	defer timer.Stop()
	var keep keeping
	var earliest time.Time // when the next look may come
	gathering := false     // a look comes because of what HAProxy said
	watch := sight{whole: wholeBelow, moved: a.moved}
	space := room{dir: a.opts.Dir}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.receiver.Events():
			// HAProxy says that something has happened to a server. What happens to one happens to others with it.
			if !gathering {
				gathering = true
				timer.Reset(max(time.Until(earliest), healthTogether))
			}
			continue
		}
		gathering = false
		began := time.Now()
		earliest = began.Add(healthLeast)
		a.warn(append(space.look(a.opts.Clock()), a.tickets.warning()...))
		changed, err := a.readHealth(ctx, &watch)
		if err != nil {
			timer.Reset(healthPace) // how long nobody answered says nothing of what an answer costs
			continue
		}
		if keep.due(changed, began) {
			keep.done(a.dumpState(ctx))
		}
		if want, ok := a.engine.rest.due(a.opts.Clock()); ok {
			if err := a.engine.rest.note(a.engine.folder.dir, want); err != nil {
				a.log.Debug("the next cold start takes longer", "error", err)
			}
		}
		rest := min(healthShare*time.Since(began), healthMost)
		earliest = began.Add(max(healthLeast, rest))
		timer.Reset(max(healthPace, healthOne*time.Duration(watch.count), rest))
	}
}

// keeping decides when the servers' state is written to disk, so that a HAProxy which starts anew knows who was up:
// after a change, at once or as soon as the last time is long enough ago.
type keeping struct {
	unkept bool
	last   time.Time
}

func (k *keeping) due(changed bool, now time.Time) bool {
	k.unkept = k.unkept || changed
	if !k.unkept || now.Sub(k.last) < stateDump {
		return false
	}
	k.last = now
	return true
}

func (k *keeping) done(kept bool) { k.unkept = !kept }

// dumpState says whether the state is on disk now.
func (a *Agent) dumpState(ctx context.Context) bool {
	a.report.mu.Lock()
	client := a.report.client
	a.report.mu.Unlock()
	if client == nil || !a.engine.stateFile.TryLock() {
		return false
	}
	defer a.engine.stateFile.Unlock()
	err := client.DumpServersState(ctx, a.engine.folder.path(haproxy.StateFile))
	if err != nil && ctx.Err() == nil && !a.stateless {
		a.log.Warn("the servers' state can't be kept for a HAProxy that starts anew; it is tried again and again", "error", err)
	}
	a.stateless = err != nil
	return err == nil
}

// reportEvery is how old what the control plane was told gets while nothing changes.
const reportEvery = 5 * time.Second

// readHealth says whether a server's state has changed since the last time; the error is that HAProxy didn't tell.
func (a *Agent) readHealth(ctx context.Context, watch *sight) (bool, error) {
	r := &a.report
	r.mu.Lock()
	client, zones := r.client, r.zones
	r.mu.Unlock()
	if client == nil {
		return false, nil
	}
	changed, err := watch.look(ctx, client, time.Now())
	if err != nil {
		if ctx.Err() == nil {
			a.unheard(client, err)
		}
		return false, err
	}
	healed := a.heard(client)
	counts, rows, calls := a.traffic.take(attribute(a.receiver.Snapshot(), zones), a.log)
	pid, _ := client.Pid(ctx)
	machine := a.machine.look(ctx, client, pid)
	r.mu.Lock()
	same := sameMap(r.report.Servers, watch.servers) && bytes.Equal(r.report.Counts, counts) && r.report.Traffic == rows && r.report.Calls == calls && r.report.Worker == pid
	r.report.Servers, r.report.Counts, r.report.Worker = watch.servers, counts, pid
	r.report.Traffic, r.report.Calls, r.report.Whole, r.report.Machine = rows, calls, wholeOf(counts, rows), machine
	r.report.Looks++
	copied := r.told()
	r.mu.Unlock()
	if same && !healed && time.Since(watch.reported) < reportEvery {
		return changed, nil
	}
	if copied.State != "" {
		watch.reported = time.Now()
		a.client.Report(copied)
	}
	return changed, nil
}

// unheard notes that HAProxy did not answer, and reports it when that is no passing thing, such as the end of a
// worker that was replaced.
func (a *Agent) unheard(client *hapctl.Client, err error) {
	r := &a.report
	r.mu.Lock()
	defer r.mu.Unlock()
	if !errors.Is(err, hapctl.ErrNoAnswer) {
		a.log.Warn("read health", "error", err)
		return
	}
	r.misses++
	if client != r.client || r.mute != "" || r.misses < 2 && !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	r.mute = fmt.Sprintf("haproxy does not answer, as of %s; what it was read back to have is from before: %s", time.Now().UTC().Format(time.RFC3339), r.silence(err))
	a.log.Warn("haproxy does not answer", "error", err)
	if r.report.State != "" {
		a.client.Report(r.told())
	}
}

// heard ends what unheard began, and says whether there was anything; the report that follows says so.
func (a *Agent) heard(client *hapctl.Client) bool {
	r := &a.report
	r.mu.Lock()
	defer r.mu.Unlock()
	healed := r.mute != ""
	if client == r.client && healed {
		a.log.Info("haproxy answers again")
	}
	r.mute, r.misses = "", 0
	return healed
}

func healthOf(rows []haproxy.StatRow, now time.Time) map[string]map[string]link.ServerHealth {
	out := map[string]map[string]link.ServerHealth{}
	for _, row := range rows {
		if row.Type != haproxy.StatServer || haproxy.Own(row.Proxy) || haproxy.Own(row.Service) {
			continue
		}
		pool, name := haproxy.BaseName(row.Proxy), haproxy.BaseName(row.Service)
		if out[pool] == nil {
			out[pool] = map[string]link.ServerHealth{}
		}
		state := healthState(row)
		// While a member is being replaced there are two of it; the one in maintenance is on its way out.
		if _, ok := out[pool][name]; ok && state == link.Maint {
			continue
		}
		var since time.Time // of a server that drains nobody knows: HAProxy goes on counting from the last change of its checks
		if state != link.Drain {
			since = now.Add(-time.Duration(row.LastChange) * time.Second).Truncate(time.Second)
		}
		out[pool][name] = link.ServerHealth{
			State: state, Since: since,
			Check: row.CheckSaid(), Connections: row.Sessions,
		}
	}
	return out
}

func healthState(row haproxy.StatRow) link.Health {
	switch status, _, _ := strings.Cut(row.Status, " "); {
	case row.UserWeight == 0 && (status == "UP" || status == "NOLB" || strings.HasPrefix(row.Status, "no check")):
		return link.Drain // Weir drains by weight, and HAProxy calls that up
	case strings.HasPrefix(row.Status, "no check"):
		return link.NoCheck
	case status == "MAINT":
		return link.Maint
	case status == "DRAIN":
		return link.Drain
	case status == "UP" || status == "NOLB":
		return link.Up
	case strings.Contains(row.CheckStatus, "INI") || row.CheckStatus == "":
		return link.StartingUp
	}
	return link.Down
}
