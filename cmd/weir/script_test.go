package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
	"weir/internal/api"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts' golden files; look at it before committing")

// theNow is the moment at which all scripts happen, so that what they print is always the same.
var theNow = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func theClock() time.Time { return theNow }

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() {
		wallClock = theClock
		main()
	}})
}

// TestScripts runs the program as people do, each script against a control plane of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireUniqueNames: true, RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			p := startControlPlane(env.T().(testing.TB))
			env.Values[planeKey{}] = p
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("TZ", "UTC")
			env.Setenv("URL", p.url)
			env.Setenv("CA", p.ca)
			env.Setenv("WEIR_URL", p.url)
			env.Setenv("WEIR_CA", p.ca)
			env.Setenv("WEIR_TOKEN", p.token)
			env.Setenv("SEALING_KEY", p.sealingKey)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "certificate.yaml"), []byte(p.certificate), 0o600); err != nil {
				return err
			}
			fleet, err := os.ReadFile(filepath.Join("testdata", "fleet.yaml"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "fleet.yaml"), fleet, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "mode": fileMode, "lag": lag, "quarantine": quarantine, "reloads": reloads, "silent": silent, "tokenfile": tokenFile, "outage": outage, "unsettled": unsettled, "held": held, "byhand": byHand, "waves": waves, "ticketkeys": ticketKeys, "warns": warns, "ended": ended, "renewal": renewal, "source": source, "says": says, "logs": logs, "checks": checks,
		},
	})
}

type planeKey struct{}

func planeOf(ts *testscript.TestScript) *controlPlane { return ts.Value(planeKey{}).(*controlPlane) }

// exits STATUS COMMAND… runs a command that must end with exactly this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v ended with status %d, not %d", args[1:], got, want)
	}
}

// mode FILE MODE holds a file's permissions against what they must be.
func fileMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], got, args[1])
	}
}

// lag LB MESSAGE makes a load balancer stay behind from now on; without a message it catches up.
func lag(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		if len(args) == 1 {
			delete(s.lags, args[0])
			return
		}
		s.lags[args[0]] = args[1]
	})
}

// silent LB makes an agent not be heard.
func silent(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) { s.silent[args[0]] = true })
}

// quarantine OBJECT MESSAGE makes every load balancer refuse an object.
func quarantine(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) { s.quarantined[args[0]] = args[1] })
}

// outage down|part OBJECT MESSAGE LB… makes load balancers not serve an object; without arguments all serve again.
func outage(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		if len(args) == 0 {
			s.outages = nil
			return
		}
		s.outages = append(s.outages, api.Outage{Down: args[0] == "down", Object: args[1], Message: args[2], LoadBalancers: args[3:]})
	})
}

// unsettled GROUP makes the checks of a group's new servers be awaited; without a group nothing is.
func unsettled(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) { s.unsettled = strings.Join(args, "") })
}

// waves GROUP STATE MESSAGE lets changes go through a group in waves.
func waves(ts *testscript.TestScript, _ bool, args []string) {
	w := &api.WaveStatus{State: args[1], Base: 3, Message: args[2], Of: 2, Last: &api.WaveOutcome{Target: 2, Done: true, At: theNow.Add(-time.Hour)}}
	if args[1] != api.WavesIdle {
		w.Changes = []int64{4}
		w.Target, w.Step, w.Reached, w.Has, w.Since, w.Until = 4, "canaries", 1, 1, theNow.Add(-12*time.Second), theNow.Add(18*time.Second)
	}
	planeOf(ts).status.set(func(s *standIn) { s.waves = map[string]*api.WaveStatus{args[0]: w} })
}

// ticketkeys GROUP GENERATION HAS [LAGGARD] says how a group's ticket keys are.
func ticketKeys(ts *testscript.TestScript, _ bool, args []string) {
	generation, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	k := &api.TicketKeysStatus{Every: weir.Duration(4 * time.Hour), Generation: generation, Of: 2, Laggards: args[3:], Message: "no keys"}
	if generation > 0 {
		k.Since, k.Next = theNow.Add(-time.Hour), theNow.Add(3*time.Hour)
		k.Has = 2 - len(k.Laggards)
		k.Message = fmt.Sprintf("%s of 2 have generation %d", args[2], generation)
		if k.Has == 2 {
			k.Message = fmt.Sprintf("all 2 have generation %d", generation)
		}
	}
	planeOf(ts).status.set(func(s *standIn) { s.ticketKeys = map[string]*api.TicketKeysStatus{args[0]: k} })
}

// held [STRANGER] makes the control plane one that was restored and is held.
func held(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		s.restored = &api.Restored{BackupAt: theNow.Add(-9 * time.Hour), BackupRevision: 41, RestoredAt: theNow.Add(-5 * time.Minute), Held: true}
		for _, name := range args {
			s.strangers = append(s.strangers, api.Stranger{Name: name, Address: "192.0.2.9:40112", First: theNow.Add(-5 * time.Minute), Last: theNow.Add(-12 * time.Second)})
		}
	})
}

// byhand LB SERVER POOL KIND FOUND TEXT [TIMES] lets somebody have changed a server at a load balancer; with TIMES it was
// undone. Without arguments nobody has.
func byHand(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		if len(args) == 0 {
			clear(s.drift)
			return
		}
		d := s.drift[args[0]]
		if d == nil {
			d = &api.DriftStatus{Mode: weir.DriftReport}
			s.drift[args[0]] = d
		}
		x := api.Drift{Object: "Server/" + args[1], Server: args[1], Pool: args[2], Kind: args[3], Found: args[4], Text: args[5], Since: theNow.Add(-3 * time.Minute)}
		if len(args) < 7 {
			d.Now, d.Total = append(d.Now, x), d.Total+1
			return
		}
		n, err := strconv.Atoi(args[6])
		ts.Check(err)
		x.Times, x.Undone = n, theNow.Add(-time.Minute)
		d.Mode, d.Past, d.Undone = weir.DriftCorrect, append(d.Past, x), d.Undone+uint64(n)
	})
}

// reloads LB COUNT OBJECT REASON counts reloads of a load balancer.
func reloads(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	planeOf(ts).status.set(func(s *standIn) {
		s.reloads[args[0]] = api.ReloadsStatus{Count: n, Last: theNow.Add(-3 * time.Hour), Reasons: []api.ReloadReason{{Object: args[2], Text: args[3]}}}
	})
}

// warns [LB REASON MESSAGE] has something wrong with a load balancer's machine; nothing is without arguments.
func warns(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		if len(args) == 0 {
			clear(s.warnings)
			return
		}
		s.warnings[args[0]] = append(s.warnings[args[0]], api.Warning{Reason: args[1], Message: args[2], Since: theNow.Add(-4 * time.Minute)})
	})
}

// ended [LB COUNT WHY] says that a HAProxy ended; none has without arguments.
func ended(ts *testscript.TestScript, _ bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) {
		if len(args) == 0 {
			clear(s.ended)
			return
		}
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		s.ended[args[0]] = api.EndedStatus{Count: n, Last: theNow.Add(-2 * time.Minute), Why: args[2]}
	})
}

// tokenfile SUBJECT FILE writes a token of a subject, made behind the API's back.
func tokenFile(ts *testscript.TestScript, _ bool, args []string) {
	text, err := planeOf(ts).tokenFor(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text+"\n"), 0o600))
}
