package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

const otherGroup = `
kind: LoadBalancerGroup
metadata: {name: far}
spec: {ranges: [198.51.100.0/28]}
---
kind: IPAddress
metadata: {name: far, role: web}
spec: {address: 198.51.100.1, groups: [far]}
---
kind: Site
metadata: {name: far, role: web}
spec: {hostnames: ["*.far.example.com"], addresses: [far], listeners: [{port: 8080}], backends: {default: web}}
---
kind: LoadBalancer
metadata: {name: far1}
spec: {group: far, zone: az1}
`

func challengeFor(name, token string) Challenge {
	return Challenge{Name: name, Challenge: ir.Challenge{Token: token, Answer: token + ".print"}}
}

// answering names the agents that have a challenge in what they were sent last.
func (f *fakeFleet) answering(token string) (list []string) {
	for _, a := range f.agents {
		a.mu.Lock()
		if slices.ContainsFunc(a.state.Resources, func(r *ir.Resource) bool { return r.ID == "challenge/"+token }) {
			list = append(list, a.name)
		}
		a.mu.Unlock()
	}
	return list
}

// TestChallengesReachWhoServesTheName: a challenge goes to every load balancer of the groups that have the name, through
// no wave, in force or halted, and is served when all that are heard were read back to have it.
func TestChallengesReachWhoServesTheName(t *testing.T) {
	t.Parallel()
	f := startFakeFleet(t)
	f.apply(fakeObjects + fakeSite("first.example.com"))
	for _, name := range []string{"a1", "b1"} {
		f.join(name, map[string]string{"a1": "az1", "b1": "az2"}[name], "3.4.7")
	}
	f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle })
	f.ready(2)

	// b1 does not have the site's new name, because the wave was halted on a1.
	f.breakAt("second.example.com", func(_ *fakeAgent, rep *link.Report) {
		rep.Resources.Deviations["site/www"] = link.Deviation{State: link.Quarantined, Reason: link.Refused, Message: "no"}
	})
	f.apply(fakeSite("second.example.com"))
	f.waves(func(s api.WaveStatus) bool { return s.State == "halted" })
	fleet := f.server.fleet
	share := func(list ...Challenge) {
		t.Helper()
		if err := f.server.shareChallenges(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	served := func(want string, tokens ...string) {
		t.Helper()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if got := strings.Join(fleet.ChallengesServed(tokens), "; "); got != want {
				return fmt.Errorf("missing %q, want %q", got, want)
			}
			return nil
		})
	}
	share(challengeFor("second.example.com", "T1"), challengeFor("nobody.example.com", "T2"))
	served("", "T1")
	if got := f.answering("T1"); !slices.Equal(got, []string{"a1", "b1"}) {
		t.Errorf("T1 is answered by %v", got)
	}
	if got := f.had("second.example.com"); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("the wave went on to %v", got)
	}
	served("no load balancer that can be reached serves nobody.example.com and speaks http at port 80", "T2")
	served("challenge T3 is not in force", "T3")

	// A group that has the name and no http at port 80 is told apart; nothing is sent to it.
	f.apply(otherGroup)
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if answer, silent := fleet.ChallengeGroups("a.far.example.com"); len(answer) > 0 || !slices.Equal(silent, []string{"far"}) {
			return fmt.Errorf("answered by %v, not by %v", answer, silent)
		}
		return nil
	})
	if answer, silent := fleet.ChallengeGroups("second.example.com"); !slices.Equal(answer, []string{"edge"}) || len(silent) > 0 {
		t.Errorf("answered by %v, not by %v", answer, silent)
	}

	// One that can't have it is named, whatever the rest of it is like.
	f.breakAt("", nil)
	f.agents[1].mu.Lock()
	f.agents[1].at, f.agents[1].fault = "first.example.com", func(_ *fakeAgent, rep *link.Report) {
		rep.Resources.Deviations["challenge/T4"] = link.Deviation{State: link.Quarantined, Reason: link.TooNew, Message: "upgrade the agent"}
		rep.Resources.Quarantined = 1
	}
	f.agents[1].mu.Unlock()
	share(challengeFor("second.example.com", "T4"))
	served("load balancer b1 does not answer for second.example.com: upgrade the agent", "T4")
	served("challenge T1 is not in force", "T1")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if got := f.answering("T1"); len(got) > 0 {
			return fmt.Errorf("T1 is answered by %v still", got)
		}
		return nil
	})
	share()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if got := f.answering("T4"); len(got) > 0 {
			return fmt.Errorf("T4 is answered by %v still", got)
		}
		return nil
	})
}

// TestChallengesOutliveChanges: what is compiled anew has the challenges that are in force, and those that can't be in a
// map are named and left out.
func TestChallengesOutliveChanges(t *testing.T) {
	t.Parallel()
	f := startFakeFleet(t)
	f.apply(fakeObjects + fakeSite("'*.example.com'"))
	f.join("a1", "az1", "3.4.7")
	bad := challengeFor("www.example.com", "T 2")
	if err := f.server.fleet.SetChallenges([]Challenge{challengeFor("www.example.com", "T1"), bad}); err == nil || !strings.Contains(err.Error(), "www.example.com") {
		t.Errorf("a token with a blank: %v", err)
	}
	has := func() {
		t.Helper()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if missing := f.server.fleet.ChallengesServed([]string{"T1"}); len(missing) > 0 || len(f.answering("T1")) != 1 {
				return fmt.Errorf("missing %v", missing)
			}
			return nil
		})
	}
	has()
	revision := f.apply(fakeSite("'*.example.com'") + "---\n" + "kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: m3, address: 10.0.0.3, port: 80}]}\n")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		f.agents[0].mu.Lock()
		defer f.agents[0].mu.Unlock()
		if f.agents[0].state.Revision < revision {
			return fmt.Errorf("the agent has revision %d, not %d", f.agents[0].state.Revision, revision)
		}
		return nil
	})
	has()
}
