package api

import (
	"fmt"
	"net/netip"
	"strings"

	"weir"
	"weir/internal/compile"
)

// PoolPreview is who is in a pool, or would be if it were there.
type PoolPreview struct {
	// Revision is the moment at which the servers were looked at.
	Revision int64  `json:"revision"`
	Pool     string `json:"pool"`
	// In counts the servers that may take traffic as far as the pool is concerned; checks and Overrides come after it. Out
	// counts the other servers of the role that the pool selects by State.
	In  int            `json:"in"`
	Out map[string]int `json:"out"`
	// Servers are those that are in, then those that are not, each by name; the latter only as many as were asked for.
	Servers []PreviewedServer `json:"servers"`
	// Omitted counts those that are out and were not asked for, Hidden those that the caller may not see; they are counted
	// nowhere else.
	Omitted int `json:"omitted,omitempty"`
	Hidden  int `json:"hidden,omitempty"`
}

// PreviewedServer is a server held against a pool.
type PreviewedServer struct {
	Name string `json:"name"`
	PoolSeat
	Zone     string   `json:"zone,omitempty"`
	Clusters []string `json:"clusters,omitempty"`
	// Member says that it is named in the pool itself.
	Member bool `json:"member,omitempty"`
	// Overrides are the names of those that move it.
	Overrides []string `json:"overrides,omitempty"`
}

// PoolSeat is what a server is in a pool.
type PoolSeat struct {
	// In says that it may take traffic there, once HAProxy's checks say so where the pool has any.
	In bool `json:"in"`
	// State is one word: in, held and draining of those that are in; waiting, stale and withdrawn of those whose registration
	// keeps them out; zone, cluster, shared, port and member of those that take no part.
	State string `json:"state"`
	// Reason says it in a sentence.
	Reason string `json:"reason"`
	// Address is where the pool reaches it, absent when it takes no part.
	Address string `json:"address,omitempty"`
}

// ServerPools are the pools that a server is in.
type ServerPools struct {
	Revision int64  `json:"revision"`
	Server   string `json:"server"`
	Role     string `json:"role,omitempty"`
	// Registration is the state of the server's registration, absent for one that has none.
	Registration string       `json:"registration,omitempty"`
	Pools        []ServerPool `json:"pools"`
}

// ServerPool is a pool that selects a server.
type ServerPool struct {
	Pool string `json:"pool"`
	Role string `json:"role,omitempty"`
	Mode string `json:"mode"`
	// Port is where the pool reaches the server, 0 when it takes no part.
	Port      weir.Port `json:"port,omitempty"`
	Admission string    `json:"admission"`
	PoolSeat
	Overrides []string `json:"overrides,omitempty"`
}

var othersParam = param{name: "others", kind: "integer", doc: "The most servers to list that are not in, 1000 when left out."}

// previewPool tells of a pool that need not be there.
func (c *call) previewPool(kind weir.Kind) error {
	o, err := c.one(kind)
	if err != nil {
		return err
	}
	if err := c.may(o); err != nil {
		return err
	}
	return c.answerPreview(o)
}

// previewNamed tells of a pool that is there.
func (c *call) previewNamed(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	return c.answerPreview(o)
}

func (c *call) answerPreview(o *weir.Object) error {
	most, err := c.number("others", 1000, 0, 1_000_000)
	if err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	answer := &PoolPreview{Revision: view.Revision, Pool: o.Metadata.Name, Out: map[string]int{}, Servers: []PreviewedServer{}}
	spec := o.Spec.(*weir.Pool)
	var others []PreviewedServer
	for _, one := range compile.Preview(view, o) {
		switch {
		case !c.mayPreview(o, &one):
			answer.Hidden++
		case one.In():
			answer.In++
			answer.Servers = append(answer.Servers, previewed(spec, &one))
		default:
			p := previewed(spec, &one)
			if answer.Out[p.State]++; int64(len(others)) < most {
				others = append(others, p)
			} else {
				answer.Omitted++
			}
		}
	}
	answer.Servers = append(answer.Servers, others...)
	return c.answerLong(answer)
}

// mayPreview says whether the caller may see a server in a preview: one that they may read anyway, or that is shared with
// the role whose pool it would be in. A pool without a role selects whomever it likes, and shares nothing.
func (c *call) mayPreview(pool *weir.Object, one *compile.Candidate) bool {
	return one.Object == nil || c.may(one.Object) == nil || one.Mismatch == "" && pool.Metadata.Role != ""
}

func previewed(spec *weir.Pool, one *compile.Candidate) PreviewedServer {
	p := PreviewedServer{Name: one.Name, PoolSeat: seatOf(spec, one), Overrides: one.Overrides, Member: one.Object == nil}
	if one.Object != nil {
		server := one.Object.Spec.(*weir.Server)
		p.Zone, p.Clusters = server.Zone, server.Clusters
	}
	return p
}

// seatOf puts into words what a server is in a pool.
func seatOf(spec *weir.Pool, one *compile.Candidate) PoolSeat {
	s := PoolSeat{In: one.In(), State: string(one.Standing)}
	if one.At != (netip.AddrPort{}) {
		s.Address = one.At.String()
	}
	var server *weir.Server
	if one.Object != nil {
		server = one.Object.Spec.(*weir.Server)
	}
	switch {
	case one.Mismatch != "":
		s.State, s.Reason = string(one.Mismatch), mismatchWords(spec, one, server)
	case one.Misfit == compile.MisfitPort:
		s.State, s.Reason = string(one.Misfit), fmt.Sprintf("it has no port %q", spec.Port)
	case one.Misfit == compile.MisfitMember:
		s.State, s.Reason = string(one.Misfit), "the pool has a static member of its name"
	default:
		s.Reason = standingWords(spec, one.Standing, server)
	}
	return s
}

func mismatchWords(spec *weir.Pool, one *compile.Candidate, server *weir.Server) string {
	switch one.Mismatch {
	case weir.MismatchZone:
		return fmt.Sprintf("in zone %s; the pool takes %s", server.Zone, spec.Selector.Zone)
	case weir.MismatchCluster:
		own := "no cluster"
		if len(server.Clusters) > 0 {
			own = "cluster " + strings.Join(server.Clusters, ", ")
		}
		return fmt.Sprintf("in %s; the pool takes %s", own, strings.Join(spec.Selector.Clusters, ", "))
	case weir.MismatchShared:
		return fmt.Sprintf("it is of role %s, which does not share it with the pool's role", one.Object.Metadata.Role)
	}
	return "the pool does not select its role"
}

// standingWords says what a registration makes of a server; server is nil for a static member.
func standingWords(spec *weir.Pool, standing weir.Standing, server *weir.Server) string {
	why := ""
	if server != nil && server.Registration != nil && server.Registration.Reason != "" {
		why = ": " + server.Registration.Reason
	}
	switch standing {
	case weir.StandingHeld:
		return "its registration fell silent, and the pool's floor keeps it in"
	case weir.StandingDraining:
		return "it is draining" + why
	case weir.StandingWaiting:
		return "the pool asks for a registration, and it has none"
	case weir.StandingStale:
		return "its registration fell silent" + why
	case weir.StandingWithdrawn:
		return "its registration is withdrawn" + why
	}
	asked := spec.Admission == weir.AdmissionCheck || spec.Admission == weir.AdmissionBoth
	if asked && (spec.HealthCheck == nil || spec.HealthCheck.Type != "none") {
		return "once its health check passes"
	}
	return "it takes traffic at once"
}

// serverPools tells a server's pools.
func (c *call) serverPools(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	return c.answerPools(o)
}

// answerPools tells the pools of a server, whoever asks.
func (c *call) answerPools(o *weir.Object) error {
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	server := o.Spec.(*weir.Server)
	answer := ServerPools{Revision: view.Revision, Server: o.Metadata.Name, Role: o.Metadata.Role, Registration: server.Registered(), Pools: []ServerPool{}}
	pools, seats := c.h.poolsOf(view, o)
	for i, pool := range pools {
		spec := pool.Spec.(*weir.Pool)
		answer.Pools = append(answer.Pools, ServerPool{
			Pool: pool.Metadata.Name, Role: pool.Metadata.Role, Mode: spec.Mode, Port: weir.Port(seats[i].At.Port()),
			Admission: spec.Admission, PoolSeat: seatOf(spec, &seats[i]), Overrides: seats[i].Overrides,
		})
	}
	return c.answer(200, answer)
}

// poolsOf asks the finder, which is for one at a time.
func (h *Handler) poolsOf(view *weir.Set, server *weir.Object) ([]*weir.Object, []compile.Candidate) {
	h.finding.Lock()
	defer h.finding.Unlock()
	return h.finder.PoolsOf(view, server)
}
