package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
)

// registered counts the Servers of a set by the states of their registrations; it is replaced, never changed.
type registered map[string]int

// after gives the count of another set, in which only the objects named differ from before; without a set before, or
// names, all are counted.
func (r registered) after(before, now *weir.Set, refs []weir.Ref) registered {
	count := registered{}
	if r == nil || before == nil || refs == nil {
		for o := range now.All("Server") {
			count[o.Spec.(*weir.Server).Registered()]++
		}
		return count
	}
	for state, n := range r {
		count[state] = n
	}
	seen := map[weir.Ref]bool{}
	for _, ref := range refs {
		if ref.Kind != "Server" || seen[ref] {
			continue
		}
		seen[ref] = true
		if old := weir.Find[weir.Server](before, ref.Kind, ref.Name); old != nil {
			count[old.Registered()]--
		}
		if is := weir.Find[weir.Server](now, ref.Kind, ref.Name); is != nil {
			count[is.Registered()]++
		}
	}
	return count
}

// told gives the sums for status, nil while no Server has a registration.
func (r registered) told() *api.RegisteredServers {
	s := &api.RegisteredServers{
		Healthy: r[weir.RegistrationHealthy], Draining: r[weir.RegistrationDraining],
		Withdrawn: r[weir.RegistrationWithdrawn], Stale: r[weir.RegistrationStale], Unregistered: r[""],
	}
	if s.Healthy+s.Draining+s.Withdrawn+s.Stale == 0 {
		return nil
	}
	return s
}

var (
	serversDesc = prometheus.NewDesc("weir_servers", "Servers by what their registrations say; none for those without one.", []string{"registration"}, nil)
	heldInDesc  = prometheus.NewDesc("weir_pool_held_servers", "Servers of a pool that fell silent and that its floor keeps in; only pools that ask for a registration.", []string{"pool"}, nil)
	admitDesc   = prometheus.NewDesc("weir_pool_admitted_servers", "Servers of a pool that may take traffic as far as their registrations go; only pools that ask for one.", []string{"pool"}, nil)
)

// admissionFigures tells of servers as registrations have them, and of each pool that asks for those once.
func (f *fleet) admissionFigures(groups map[string]*groupState, out chan<- prometheus.Metric) {
	f.mu.RLock()
	counted := f.counted
	f.mu.RUnlock()
	for _, state := range []string{weir.RegistrationHealthy, weir.RegistrationDraining, weir.RegistrationWithdrawn, weir.RegistrationStale} {
		out <- prometheus.MustNewConstMetric(serversDesc, prometheus.GaugeValue, float64(counted[state]), state)
	}
	out <- prometheus.MustNewConstMetric(serversDesc, prometheus.GaugeValue, float64(counted[""]), "none")
	told := map[string]bool{}
	for _, g := range groups {
		for i, a := range g.admissions {
			pool := g.node.Pools[i].Name
			if a == nil || !a.Asks || told[pool] {
				continue
			}
			told[pool] = true
			out <- prometheus.MustNewConstMetric(heldInDesc, prometheus.GaugeValue, float64(len(named(a, weir.StandingHeld))), pool)
			out <- prometheus.MustNewConstMetric(admitDesc, prometheus.GaugeValue, float64(a.In), pool)
		}
	}
}
