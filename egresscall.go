package weir

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EgressCall is what a rule lets an application call: one service of a partner at one level.
type EgressCall struct {
	// Path is what the path of such a call begins with, "/myback/prod/example/prod/www/high/"; what follows is the partner's.
	Path        string `json:"path"`
	Partner     string `json:"partner"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	SLA         string `json:"sla"`
	// Rule names the EgressRule, Methods and Paths are those that it lets through, empty for any.
	Rule    string   `json:"rule"`
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
	// Schedule names the one outside of which the rule lets nothing through, "" for none; From and Until are its ends.
	Schedule string    `json:"schedule,omitempty"`
	From     time.Time `json:"from,omitzero"`
	Until    time.Time `json:"until,omitzero"`
}

// Holds says whether the rule lets calls through at a moment.
func (c *EgressCall) Holds(at time.Time) bool {
	return (&Schedule{From: c.From, Until: c.Until}).Holds(at)
}

// EgressCalls lists what an EgressClient may call, by path, then rule. Several rules for one path add up.
func EgressCalls(set *Set, client string) (list []EgressCall) {
	ref := Ref{Kind: "EgressClient", Name: client}
	spec := Find[EgressClient](set, ref.Kind, ref.Name)
	if spec == nil {
		return nil
	}
	for r := range set.ReferrersOf("EgressRule", ref) {
		rule := Find[EgressRule](set, r.Kind, r.Name)
		if rule == nil {
			continue
		}
		partner := Find[Partner](set, "Partner", rule.Partner)
		if partner == nil {
			continue
		}
		window := &Schedule{}
		if rule.Schedule != "" {
			if window = Find[Schedule](set, "Schedule", rule.Schedule); window == nil {
				continue
			}
		}
		for _, e := range rule.Endpoints(partner, spec.Environment) {
			for _, level := range rule.SLAs {
				list = append(list, EgressCall{
					Path:    "/" + strings.Join([]string{spec.Caller(client), rule.Partner, e.Environment, e.Service, level}, "/") + "/",
					Partner: rule.Partner, Environment: e.Environment, Service: e.Service, SLA: level,
					Rule: r.Name, Methods: rule.Methods, Paths: rule.Paths,
					Schedule: rule.Schedule, From: window.From, Until: window.Until,
				})
			}
		}
	}
	slices.SortFunc(list, func(a, b EgressCall) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Rule, b.Rule))
	})
	return list
}

// WayOut is where applications call.
type WayOut struct {
	// Site names the egress Site.
	Site string `json:"site"`
	// URL is what the address of a call begins with, before its path: "https://egress.inside".
	URL string `json:"url"`
	// Asks says that its load balancers ask for a certificate, which EgressClients that have a subject must show.
	Asks bool `json:"asks,omitempty"`
}

// WaysOut lists where applications of an environment call, by site; those with TLS alone where there are any.
func WaysOut(set *Set, environment string) (list []WayOut) {
	secure := false
	for o := range set.All("Site") {
		s := o.Spec.(*Site)
		if !s.LeadsOut(environment) {
			continue
		}
		for _, l := range s.Listeners {
			for _, host := range s.Hostnames {
				if l.Redirect != "" || strings.HasPrefix(host, "*") {
					continue
				}
				scheme, usual := "http://", Port(80)
				if l.TLS != nil {
					scheme, usual, secure = "https://", 443, true
				}
				if l.Port != usual {
					host += ":" + strconv.Itoa(int(l.Port))
				}
				list = append(list, WayOut{o.Metadata.Name, scheme + host, l.TLS != nil && s.Egress.ClientAuthority != ""})
			}
		}
	}
	if secure {
		list = slices.DeleteFunc(list, func(w WayOut) bool { return strings.HasPrefix(w.URL, "http:") })
	}
	slices.SortFunc(list, func(a, b WayOut) int { return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.URL, b.URL)) })
	return list
}

// NoWayOut says why applications of an environment can call nobody at all, with what to do; "" where a Site leads out.
func NoWayOut(set *Set, environment string) string {
	for o := range set.All("Site") {
		if o.Spec.(*Site).LeadsOut(environment) {
			return ""
		}
	}
	return "no Site is a way out of environment " + environment + ": it can call nobody until spec.egress.environments of a Site has that"
}

// LeadsOut says whether a Site is a way out for applications of an environment.
func (s *Site) LeadsOut(environment string) bool {
	return s.Egress != nil && slices.Contains(s.Egress.Environments, environment)
}
