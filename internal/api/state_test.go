package api

import (
	"testing"
	"time"

	"weir"
)

// TestStates says of every way in which something can be what word that gets, and what people are told.
func TestStates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cond := func(kind, status, reason, message string, ready, of int) weir.Condition {
		return weir.Condition{Type: kind, Status: status, Reason: reason, Message: message, Ready: ready, Of: of}
	}
	accepted := cond(weir.Accepted, "True", "Compiled", "", 0, 0)
	leftOut := cond(weir.Accepted, "False", "LeftOut", "group edge: spec: port 80 is another's", 0, 0)
	have := cond(weir.Programmed, "True", "ReadBack", "", 3, 3)
	unused := cond(weir.Programmed, "Unknown", "NotInUse", "nothing uses it", 0, 0)
	off := cond(weir.Programmed, "Unknown", "NoneActive", "none is active", 0, 0)
	pending := cond(weir.Programmed, "False", "Pending", "read back from 0 of 3", 0, 3)
	up := cond(weir.Serving, "True", "Up", "2 of 2 servers are up", 2, 2)
	in := cond(weir.Admitted, "True", "In", "in pool web", 1, 1)
	object := func(spec weir.Spec, kind string) *weir.Object {
		return &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: "x"}, Spec: spec}
	}
	site, pool, server, lb := object(&weir.Site{}, "Site"), object(&weir.Pool{}, "Pool"), object(&weir.Server{}, "Server"), object(&weir.LoadBalancer{State: weir.Active}, "LoadBalancer")
	with := func(list ...weir.Condition) []weir.Condition { return append([]weir.Condition{accepted}, list...) }
	outage := func(down bool, reason, message string, on ...string) Outage {
		return Outage{Object: "Site/x", Down: down, Reason: reason, Message: message, LoadBalancers: on}
	}
	heard := func(change func(*LoadBalancerStatus)) *LoadBalancerStatus {
		s := &LoadBalancerStatus{Name: "x", State: weir.Active, Run: "converged", Ready: true, Reachable: true, Revision: 7, LastSeen: now}
		if change != nil {
			change(s)
		}
		return s
	}
	cert := func(issuer string, life, left time.Duration) *weir.Object {
		return object(&weir.Certificate{Issuer: issuer, Info: &weir.CertificateInfo{NotBefore: now.Add(left - life), NotAfter: now.Add(left)}}, "Certificate")
	}
	const day = 24 * time.Hour
	drained := func(role string) *weir.Object {
		return &weir.Object{Kind: "Override", Metadata: weir.Metadata{Name: "o", Role: role}, Spec: &weir.Override{State: weir.StateDrain, Reason: "disk", ExpiresAt: now.Add(day)}}
	}
	for name, c := range map[string]struct {
		facts facts
		want  State
		why   string
	}{
		"no load balancer is told of it": {facts{object: object(&weir.Role{}, "Role")}, "", ""},
		"a plain object":                 {facts{object: object(&weir.Map{}, "Map"), conditions: with(have)}, StateServing, ""},
		"nobody needs it":                {facts{object: object(&weir.Map{}, "Map"), conditions: with(unused)}, StateUnused, "nothing uses it"},
		"a part is left out":             {facts{object: object(&weir.Map{}, "Map"), conditions: []weir.Condition{leftOut, have}}, StateDegraded, "left out: group edge: spec: port 80 is another's"},
		"a source fails":                 {facts{object: object(&weir.Map{}, "Map"), conditions: with(have, cond(weir.Watched, "False", "Failing", "404", 0, 0))}, StateDegraded, "404"},
		"a partner fails":                {facts{object: object(&weir.Partner{}, "Partner"), conditions: with(have, cond(weir.Answering, "False", "Fails", "prod/x: of 9 calls 9 failed", 0, 0))}, StateDegraded, "prod/x: of 9 calls 9 failed"},
		"a partner answers":              {facts{object: object(&weir.Partner{}, "Partner"), conditions: with(have, cond(weir.Answering, "True", "Answers", "no call failed", 0, 0))}, StateServing, ""},
		"nobody calls a partner":         {facts{object: object(&weir.Partner{}, "Partner"), conditions: with(have, cond(weir.Answering, "Unknown", "NoCalls", "no call was seen", 0, 0))}, StateUnknown, "no call was seen"},
		"changed by hand":                {facts{object: object(&weir.Map{}, "Map"), conditions: with(have, cond(weir.Drifted, "True", "ByHand", "lb1: entry", 0, 0))}, StateDegraded, "changed by hand: lb1: entry"},
		"a change by hand was undone":    {facts{object: object(&weir.Map{}, "Map"), conditions: with(have, cond(weir.Drifted, "False", "Undone", "x", 0, 0))}, StateServing, ""},

		"a site serves":               {facts{object: site, conditions: with(have, up), hears: 3}, StateServing, ""},
		"a site is left out":          {facts{object: site, conditions: []weir.Condition{leftOut, unused}}, StateDown, "left out: group edge: spec: port 80 is another's"},
		"a site comes":                {facts{object: site, conditions: with(pending), hears: 3}, StateUnknown, "read back from 0 of 3"},
		"a site that nobody tells of": {facts{object: site, conditions: with(have), hears: 0}, StateUnknown, "no load balancer that it is for was heard lately"},
		"a site is down": {facts{
			object: site, conditions: with(have), hears: 2, outages: []Outage{outage(true, NotServingDown, "no server is up", "lb1", "lb2")},
		}, StateDown, "does not serve: no server is up"},
		"a site is down for two reasons": {facts{
			object: site, conditions: with(have), hears: 2, outages: []Outage{outage(true, NotServingDown, "a", "lb1"), outage(true, NotServingDown, "b", "lb2")},
		}, StateDown, "does not serve: a (on lb1); and 1 more"},
		"a site is down on one": {facts{
			object: site, conditions: with(have), hears: 3, outages: []Outage{outage(true, NotServingNotBound, "not bound", "lb1")},
		}, StateDegraded, "serves in part: not bound (on lb1)"},
		"a backend is gone": {facts{
			object: site, conditions: with(have), hears: 1, outages: []Outage{outage(false, NotServingDown, "backend api", "lb1")},
		}, StateDegraded, "serves in part: backend api"},
		"nobody has looked": {facts{
			object: site, conditions: with(have), hears: 1, outages: []Outage{outage(false, NotServingUnseen, "not looked at", "lb1")},
		}, StateUnknown, "not looked at"},
		"a site is refused": {facts{object: site, conditions: with(have, cond(weir.Quarantined, "True", "Refused", "lb1: no", 0, 0)), hears: 3}, StateDegraded, "quarantined: lb1: no"},

		"a pool serves":             {facts{object: pool, conditions: with(have, up), members: 2, seen: []SeenServer{{Server: "a", Up: 3, Of: 3}, {Server: "b", Up: 3, Of: 3}}}, StateServing, ""},
		"a server of it is down":    {facts{object: pool, conditions: with(have, up), members: 2, seen: []SeenServer{{Server: "a", Of: 3}, {Server: "b", Up: 3, Of: 3}}}, StateDegraded, "1 of 2 servers are not up everywhere: a"},
		"a server of it is drained": {facts{object: pool, conditions: with(have, up), members: 2, seen: []SeenServer{{Server: "a", Of: 3, Out: 3}, {Server: "b", Up: 3, Of: 3}}}, StateServing, ""},
		"a server of it comes":      {facts{object: pool, conditions: with(have, up), members: 2, seen: []SeenServer{{Server: "a", Of: 3, Starting: 3}, {Server: "b", Up: 3, Of: 3}}}, StateServing, ""},
		"a pool is down":            {facts{object: pool, conditions: with(have, cond(weir.Serving, "False", "Down", "no server is up", 0, 2)), members: 2}, StateDown, "no server is up"},
		"a pool is empty":           {facts{object: pool, conditions: with(have, cond(weir.Serving, "Unknown", "NotSeen", "nobody has told", 0, 0))}, StateDown, "no server is in it"},
		"nobody tells of a pool":    {facts{object: pool, members: 2, conditions: with(have, cond(weir.Serving, "Unknown", "NotSeen", "nobody has told", 0, 0))}, StateUnknown, "nobody has told"},
		"a pool of nobody":          {facts{object: pool, members: 2, conditions: with(unused, cond(weir.Serving, "Unknown", "NotSeen", "nobody has told", 0, 0))}, StateUnused, "nothing uses it"},
		"an empty pool of nobody":   {facts{object: pool, conditions: with(unused, cond(weir.Serving, "Unknown", "NotSeen", "nobody has told", 0, 0))}, StateUnused, "nothing uses it"},
		"a pool of none active":     {facts{object: pool, members: 2, conditions: with(off, cond(weir.Serving, "Unknown", "NotSeen", "nobody has told", 0, 0))}, StateUnknown, "none is active"},
		"a wrong one of nobody":     {facts{object: pool, members: 2, conditions: []weir.Condition{leftOut, unused}}, StateDown, "left out: group edge: spec: port 80 is another's"},
		"servers are silent":        {facts{object: pool, members: 2, conditions: with(have, up, cond(weir.Admitted, "False", "Stale", "1 fell silent", 1, 2)), seen: []SeenServer{{Server: "b", Up: 3, Of: 3}}}, StateDegraded, "1 fell silent"},

		"a server serves":         {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Up: 3, Of: 3}}}, StateServing, ""},
		"a server in no pool":     {facts{object: server, conditions: with(unused, cond(weir.Admitted, "Unknown", "NotSelected", "no pool selects it", 0, 0))}, StateUnused, "nothing uses it"},
		"nobody tells of it":      {facts{object: server, conditions: with(have, in)}, StateUnknown, "no load balancer has told of it yet"},
		"a server is down":        {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Of: 3, State: "down", Check: "L4TOUT", LoadBalancer: "lb1"}}}, StateDown, "down: L4TOUT"},
		"a server is half down":   {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Up: 2, Of: 3, State: "down", Check: "L4TOUT", LoadBalancer: "lb1"}}}, StateDegraded, "up on 2 of 3: lb1 is down: L4TOUT"},
		"its check is awaited":    {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Of: 3, Starting: 3, State: "starting", LoadBalancer: "lb1"}}}, StateUnknown, "its first check is awaited"},
		"drained by others":       {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Of: 3, Out: 3, State: "drain", LoadBalancer: "lb1"}}}, StateDegraded, "drained or in maintenance"},
		"drained by hand":         {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Of: 3, Out: 3}}, moved: []*weir.Object{drained("")}}, StateDegraded, "drained by hand until 2026-11-23 12:00 UTC: disk"},
		"drained by others' hand": {facts{object: server, conditions: with(have, in), seen: []SeenServer{{Of: 3, Out: 3}}, moved: []*weir.Object{drained("other")}}, StateDegraded, "drained by hand until 2026-11-23 12:00 UTC"},
		"a registration is over":  {facts{object: server, conditions: with(have, cond(weir.Admitted, "False", "Withdrawn", "left out of pool web: it is withdrawn", 0, 1))}, StateDegraded, "left out of pool web: it is withdrawn"},
		"a server fell silent":    {facts{object: server, conditions: with(have, cond(weir.Admitted, "False", "Stale", "left out of pool web: it fell silent", 0, 1))}, StateDown, "left out of pool web: it fell silent"},

		"a load balancer serves":       {facts{object: lb, loadBalancer: heard(nil)}, StateServing, ""},
		"it was never heard":           {facts{object: lb, loadBalancer: &LoadBalancerStatus{Run: "unknown"}}, StateUnknown, "was never heard: is its agent running?"},
		"nothing is known of it":       {facts{object: lb}, StateUnknown, "was never heard: is its agent running?"},
		"it is silent":                 {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Reachable, s.LastSeen = false, now.Add(-20*time.Second) })}, StateDegraded, "silent for 20s"},
		"it is silent for long":        {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Reachable, s.LastSeen = false, now.Add(-time.Hour) })}, StateDown, "silent for 1h0m0s"},
		"it failed":                    {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Run, s.Message, s.Ready = "failed", "no haproxy", false })}, StateDown, "failed: no haproxy"},
		"it follows a change":          {facts{object: lb, behind: time.Second, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Run, s.Ready = "applying", false })}, StateServing, ""},
		"it is behind":                 {facts{object: lb, behind: time.Minute, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Run, s.Ready = "applying", false })}, StateDegraded, "applying, has revision 7"},
		"it holds things back":         {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Quarantined = 2 })}, StateDegraded, "2 quarantined"},
		"others changed it":            {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Drift = &DriftStatus{Total: 1} })}, StateDegraded, "1 change by hand"},
		"its disk is full":             {facts{object: lb, loadBalancer: heard(func(s *LoadBalancerStatus) { s.Warnings = []Warning{{Message: "the disk is full"}} })}, StateDegraded, "the disk is full"},
		"it is in maintenance":         {facts{object: object(&weir.LoadBalancer{State: weir.Maintenance}, "LoadBalancer"), loadBalancer: heard(nil)}, StateDegraded, "in Maintenance"},
		"it is off for maintenance":    {facts{object: object(&weir.LoadBalancer{State: weir.Maintenance}, "LoadBalancer"), loadBalancer: heard(func(s *LoadBalancerStatus) { s.Reachable, s.LastSeen = false, now.Add(-time.Hour) })}, StateUnknown, "in Maintenance, and silent for 1h0m0s"},
		"a certificate is good":        {facts{object: cert("", 90*day, 60*day), conditions: with(unused)}, StateServing, ""},
		"a certificate ends soon":      {facts{object: cert("", 90*day, 20*day), conditions: with(have)}, StateDegraded, "ends at 2026-12-12 12:00 UTC"},
		"one that is renewed has time": {facts{object: cert("le", 90*day, 25*day), conditions: with(have)}, StateServing, ""},
		"one that was not renewed":     {facts{object: cert("le", 90*day, 20*day), conditions: with(have)}, StateDegraded, "ends at 2026-12-12 12:00 UTC"},
		"a short one of nobody's":      {facts{object: cert("", day, 23*time.Hour), conditions: with(have)}, StateDegraded, "ends at 2026-11-23 11:00 UTC"},
		"a short one that is renewed":  {facts{object: cert("ca", day, 23*time.Hour), conditions: with(have)}, StateServing, ""},
		"a certificate has ended":      {facts{object: cert("", 90*day, -day), conditions: with(have)}, StateDown, "ended at 2026-11-21 12:00 UTC"},
		"there is none yet":            {facts{object: object(&weir.Certificate{Issuer: "le"}, "Certificate"), conditions: with(unused)}, StateUnknown, "there is none yet"},
		"it can't be had":              {facts{object: object(&weir.Certificate{Issuer: "le"}, "Certificate"), conditions: with(unused, cond(weir.Issued, "False", "Failing", "refused", 0, 0))}, StateDegraded, "refused"},
		"a revoked one is shown":       {facts{object: object(&weir.Certificate{Revoked: &weir.Revocation{}}, "Certificate"), conditions: with(have), certificate: &weir.CertificateStatus{Uses: 1}}, StateDown, "revoked, and still in use"},
		"clients are shown another":    {facts{object: cert("", 90*day, 60*day), conditions: with(cond(weir.Programmed, "False", "NotServed", "lb1: another", 2, 3))}, StateDegraded, "lb1: another"},
		"an issuer fails":              {facts{object: object(&weir.Issuer{}, "Issuer"), conditions: with(unused), issuer: &weir.IssuerStatus{Certificates: map[string]int{weir.RenewalFailing: 2}}}, StateDegraded, "2 certificates can't be had"},
	} {
		t.Run(name, func(t *testing.T) {
			c.facts.now = now
			state, why := stateOf(&c.facts)
			if state != c.want || why != c.why {
				t.Errorf("%s %q, want %s %q", state, why, c.want, c.why)
			}
			if (why == "") != (state == StateServing || state == "") {
				t.Errorf("%s says why: %q", state, why)
			}
		})
	}
}
