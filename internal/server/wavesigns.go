package server

import (
	"slices"
	"strings"
	"time"

	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/wave"
)

// deepMost bounds how many load balancers of a group are looked at with all their sites and servers, and counted, on
// each side of a wave: they have the same configuration, and the others are looked at for what is their own.
const deepMost = 32

// carries says that a load balancer was read back to have what it is to have, now or a little while ago.
func (f *fleet) carries(name string, rep link.Reported) bool {
	wanted, known := f.hub.Wanted(name)
	return known && rep.State == link.Converged && ours(rep, wanted) && f.hub.Carries(name, rep.Hash)
}

// signs gives what a load balancer shows that is to have a state.
func (f *fleet) signs(self ir.Self, state *groupState, now time.Time, deep bool) wave.Signs {
	rep, heard := f.hub.Reports().Get(self.Name)
	s := wave.Signs{Reloads: rep.Reloads.Count, Refused: map[string]string{}, Dead: map[string]string{}, Down: map[string]wave.Part{}}
	if silence := now.Sub(rep.At); !heard || silence >= heardWithin {
		s.Silent = "long"
		if heard {
			s.Silent = silence.Round(time.Second).String()
		}
		return s
	}
	for id, d := range rep.Resources.Deviations {
		if d.State == link.Quarantined && !strings.HasPrefix(id, "challenge/") { // which goes in no wave
			name := ir.Owner(id)
			if name == "" {
				name = id
			}
			s.Refused[name] = d.Message
		}
	}
	if rep.State != link.Converged && rep.State != link.Applying {
		s.Failing = strings.TrimSpace(string(rep.State) + ": " + rep.Message)
		return s
	}
	// Of what HAProxy is doing just now nothing is to be learnt about what it will have.
	if rep.Seen > rep.Revision || !f.carries(self.Name, rep) {
		return s
	}
	s.Worker = rep.Worker
	if !deep {
		return s
	}
	for _, o := range outagesOf(state, rep.Report, nil) {
		if o.Reason != api.NotServingUnseen && o.Reason != api.NotServingNotAdmitted && o.Reason != api.NotServingSilent {
			s.Dead[partOf(o)] = o.Message
		}
	}
	for _, p := range state.node.Pools {
		if seen := rep.Servers[p.Name]; len(seen) > 0 {
			s.Down[p.Name] = failing(p.Servers, seen)
		}
	}
	return s
}

// partOf names what is not served, so that a site that is down is another thing than one of its backends.
func partOf(o api.Outage) string {
	if o.Down || !strings.HasPrefix(o.Object, "Site/") {
		return o.Object
	}
	return "a part of " + o.Object
}

// failing counts the servers of a pool whose checks fail; those that people took out do not.
func failing(servers []ir.Server, seen map[string]link.ServerHealth) wave.Part {
	part := wave.Part{Of: len(servers)}
	for i := range servers {
		if seen[servers[i].Name].State == link.Down {
			part.N++
		}
	}
	return part
}

// requests are the counts of one load balancer by site, kept for as long as its report is the same.
type requests struct {
	at     time.Time // of the report
	bySite map[string]wave.Requests
}

// requestsOf reads what a load balancer has counted; known is what was read of it before.
func (f *fleet) requestsOf(name string, known *requests) *requests {
	rep, ok := f.hub.Reports().Get(name)
	if known != nil && (!ok || rep.At.Equal(known.at)) {
		return known
	}
	out := &requests{at: rep.At, bySite: map[string]wave.Requests{}}
	counts, ok := countsOf(rep)
	if !ok {
		return out
	}
	for _, series := range counts.BySite() {
		if series.Site == "" {
			continue
		}
		var r wave.Requests
		for class, c := range series.Classes {
			r.All += c.Requests
			if accesslog.ClassName(class) == "5xx" {
				r.Failed += c.Requests
			}
		}
		out.bySite[series.Site] = r
	}
	return out
}

// since sums up by site what load balancers have counted since an earlier time; one that was not counted then begins
// now.
func since(names []string, now, earlier map[string]*requests) map[string]wave.Requests {
	sum := map[string]wave.Requests{}
	for _, name := range names {
		if now[name] == nil || earlier[name] == nil {
			continue
		}
		for site, r := range now[name].bySite {
			total := sum[site]
			total.Add(r.Since(earlier[name].bySite[site]))
			sum[site] = total
		}
	}
	return sum
}

// sample gives at most deepMost of a list of names, always the same ones.
func sample(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[:min(len(list), deepMost)]
}
