package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

func newWaves() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "waves [GROUP…]",
		GroupID: groupLook,
		Short:   "Show how far changes that go in waves have come; steer them",
		Long: `Show, for each group that wants waves, how far what was changed has come: to one load balancer of each HAProxy
version, to a zone, or to the rest; for how long that is watched yet; what waits for the next wave; and why a wave
was halted.

A wave that does harm is sent back by itself. It then stays back until somebody undoes the change, or says go.`,
		Example: `  weir waves
  weir waves edge
  weir waves stop edge --reason "looks slow, asking the web team"
  weir waves go edge`,
	}
	lookAtGroups(cmd, func(fleet *api.FleetStatus) any {
		return byGroup(fleet, func(g api.GroupStatus) *api.WaveStatus { return g.Waves })
	}, printWaves)
	cmd.AddCommand(
		newSteer("stop", "Stop a wave where it is",
			"Stop a wave where it is: load balancers that it has reached keep what they have, and it reaches no others.", "stopped"),
		newSteer("back", "Send a wave back",
			"Send a wave back: the load balancers that it has reached are given what they had before, at run time where that can be.", "sent back"),
		newSteer("go", "Let a wave go on, or begin again",
			"Let a wave that was stopped go on where it is. One that has gone back begins again, with the canaries, and takes along\nwhat has been changed since.", "goes on"),
		newSteer("finish", "Bring what is newest to everybody at once",
			"Bring what is newest to all load balancers of a group at once, watched by nobody: for an emergency. All that waits goes\nalong. It takes a reason.", "finished"),
	)
	return cmd
}

// newSteer makes a command that does something to the wave of a group.
func newSteer(action, short, long, done string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     action + " GROUP",
		Short:   short,
		Long:    long + "\nIt takes the right operator on every role, since a wave carries everybody's changes; an undo of a change of one's\nown sends its wave back, too.",
		Example: "  weir waves " + action + " edge --reason \"INC-42\"",
	}
	act := groupAct{part: "waves", query: url.Values{"action": {action}}, reason: "why; kept in the audit file and shown to those who wait", done: done}
	if action == string(api.WaveFinish) {
		act.must = "say why nobody is to watch it, with --reason"
	}
	actOnGroup(cmd, act)
	return cmd
}

// printWaves tells of the groups that want waves; asked says that they were named.
func printWaves(s *screen, fleet *api.FleetStatus, asked bool, now time.Time) {
	any := false
	for i := range fleet.Groups {
		g := &fleet.Groups[i]
		if g.Waves == nil {
			if asked {
				s.printf("%s %s wants no waves: what is changed reaches all of it at once\n", s.faint("–"), s.title(clean(g.Name)))
			}
			continue
		}
		any = true
		s.printf("%s %s  %s\n", waveMark(s, g.Waves), s.title(clean(g.Name)), waveHead(s, g.Waves, now))
		if g.Waves.State != api.WavesIdle && g.Waves.Message != "" {
			s.line(s.wrapped("    ", oneLine(g.Waves.Message)))
		}
		if last := g.Waves.Last; last != nil {
			s.line(s.wrapped("    ", s.faint("before: "+lastWave(last, now))))
		}
	}
	if !any && !asked {
		s.line("No group wants waves; set spec.waves of a LoadBalancerGroup for that.")
	}
}

func waveMark(s *screen, w *api.WaveStatus) string {
	switch w.State {
	case "halted":
		return s.bad("✗")
	case "stopped", api.WavesWaiting:
		return s.warning("!")
	case "going":
		return s.strong("→")
	}
	return s.good("✓")
}

// waveHead says in a few words how far a wave is, and for how long its step is watched yet.
func waveHead(s *screen, w *api.WaveStatus, now time.Time) string {
	on := fmt.Sprintf("revision %d on %d of %d", w.Target, w.Has, w.Of)
	switch w.State {
	case "going":
		text := on + s.faint(", "+w.Step)
		if w.Until.After(now) {
			text += s.faint(", watched for " + span(w.Until.Sub(now)) + " yet")
		}
		return text
	case "stopped":
		return s.warning("stopped") + " " + ago(w.Since, now) + ", " + on
	case "halted":
		return s.bad("halted") + " " + ago(w.Since, now) + s.faint(", revision "+itoa(w.Target))
	case api.WavesWaiting:
		return s.warning("waiting")
	}
	return s.faint("nothing is on its way")
}

func lastWave(last *api.WaveOutcome, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d ", last.Target)
	switch {
	case last.Done && last.By != "":
		b.WriteString("was brought to all at once by " + last.By)
	case last.Done:
		b.WriteString("reached all")
	default:
		b.WriteString("went back")
	}
	b.WriteString(" " + ago(last.At, now))
	if last.Why != "" {
		b.WriteString(": " + last.Why)
	}
	return oneLine(b.String())
}
