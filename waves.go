package weir

import "time"

// Waves says how careful a group is with new configuration.
type Waves struct {
	// Watch is for how long each wave is watched, once its load balancers have what is new, before the next begins;
	// 30s when left out.
	Watch Duration `json:"watch,omitempty"`
	// Patience is how long a load balancer may take to have it; 1m when left out.
	Patience Duration `json:"patience,omitempty"`
	// MaxErrorRise is by how many percentage points a site's share of 5xx answers may rise where the new configuration
	// is; 1 when left out.
	MaxErrorRise *int `json:"maxErrorRise,omitempty"`
}

func (w *Waves) normalize() {
	if w == nil {
		return
	}
	setDefault(&w.Watch, Duration(30*time.Second))
	setDefault(&w.Patience, Duration(time.Minute))
	if w.MaxErrorRise == nil {
		w.MaxErrorRise = new(1)
	}
}

func (w *Waves) validate(p *Problems) {
	if w == nil {
		return
	}
	w.Watch.within(p, "waves.watch", time.Second, 24*time.Hour)
	w.Patience.within(p, "waves.patience", time.Second, 24*time.Hour)
	between(p, "waves.maxErrorRise", *w.MaxErrorRise, 0, 100)
}

// WaitForWaves says whether objects of a kind are configuration, which goes through a group in waves. All else is
// everywhere at once: what moves traffic about, and what load balancers are.
func WaitForWaves(kind string) bool {
	switch kind {
	case "Site", "Route", "Pool", "Tuning", "Map", "AccessList", "RateLimit", "Logic", "ErrorPage", "Certificate", "IPAddress", "LoadBalancerGroup", "EgressClient", "Partner", "SLA", "EgressRule":
		return true
	}
	return false
}
