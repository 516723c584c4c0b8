package api

import (
	"maps"
	"math"
	"slices"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

// Matrix is which zone serves how much of each site.
type Matrix struct {
	Revision int64 `json:"revision"`
	// Zones are all of those that the rows before paging have, by name.
	Zones  []MatrixZone  `json:"zones"`
	Total  int           `json:"total"`
	States map[State]int `json:"states"`
	Rows   []MatrixRow   `json:"rows"`
	// Shifts are the ZoneShifts in force that the caller may see, by name, at most a hundred.
	Shifts []ShiftInForce `json:"shifts,omitempty"`
}

// ShiftInForce is a ZoneShift in force: of the sites that it names, of all of a role, or of all.
type ShiftInForce struct {
	CellShift
	Zone   string   `json:"zone"`
	Sites  []string `json:"sites,omitempty"`
	OfRole string   `json:"ofRole,omitempty"`
	All    bool     `json:"all,omitempty"`
}

// MatrixZone is a column. Carries is how many requests a second it has of the sites of all rows, as far as they are known.
type MatrixZone struct {
	Name     string `json:"name"`
	Capacity int    `json:"capacity,omitempty"`
	Carries  Point  `json:"carries"`
}

// MatrixRow is a site with pools of zones. Requests are a second, null when that is not known.
type MatrixRow struct {
	Site     string `json:"site"`
	Role     string `json:"role,omitempty"`
	State    State  `json:"state"`
	Why      string `json:"why,omitempty"`
	Requests Point  `json:"requests"`
	// Parts are its backends with pools of zones, default first, in each group that has them.
	Parts []MatrixPart `json:"parts"`
}

// MatrixPart is how a backend of a site is divided in a group. Counted says that the shares are counted, as its pools serve
// nobody else, and not worked out from what the zones can and may take.
type MatrixPart struct {
	Group    string       `json:"group"`
	Backend  string       `json:"backend"`
	Requests Point        `json:"requests"`
	Counted  bool         `json:"counted,omitempty"`
	Cells    []MatrixCell `json:"cells"`
}

// MatrixCell is what a zone has of it. Share is of 1 as it is; Usual with all servers and without shifts.
type MatrixCell struct {
	Zone     string  `json:"zone"`
	Pool     string  `json:"pool"`
	Share    float64 `json:"share"`
	Usual    float64 `json:"usual"`
	Requests Point   `json:"requests"`
	// Healthy of Total servers are up at some load balancer; Able is what part of the weight of all may take traffic.
	Healthy int     `json:"healthy"`
	Total   int     `json:"total"`
	Able    float64 `json:"able"`
	// Shifted is the ZoneShift that takes the site out of the zone.
	Shifted *CellShift `json:"shifted,omitempty"`
}

// CellShift is a ZoneShift in force; all but that there is one is left out of one that the caller may not see. Role is whose
// it is, absent for nobody's.
type CellShift struct {
	Name   string    `json:"name,omitempty"`
	Role   string    `json:"role,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	By     string    `json:"by,omitempty"`
}

var matrixParams = []param{qParam, roleParam, stateParam, groupParam, limitParam, skipParam}

// zoned is what the zones are worked out from: a node of each group, with what the checks of its load balancer see.
type zoned struct {
	nodes []ir.Node
	ups   []func(pool, server string) bool
	// sites are the divisions, by site; of each those of the first group come first.
	sites map[string][]compile.Division
	// own are the pools that serve one backend of one site in one group alone, whose requests are that backend's there.
	own map[string]bool
	// requests are a second, of sites and of own pools, by object.
	requests map[string]Traffic
}

// zones works out how all sites are divided between zones.
func (p *picture) zones() (z *zoned) {
	p.work(func() {
		if p.zoned == nil {
			p.zoned = p.divided()
		}
		z = p.zoned
	})
	return z
}

func (p *picture) divided() *zoned {
	z := &zoned{sites: map[string][]compile.Division{}, own: map[string]bool{}}
	f := p.fleetView()
	for i := range f.status.Groups {
		g := &f.status.Groups[i]
		for _, heardOnly := range []bool{true, false} {
			j := slices.IndexFunc(g.LoadBalancers, func(lb LoadBalancerStatus) bool { return lb.State == weir.Active && (lb.Reachable || !heardOnly) })
			if j < 0 {
				continue
			}
			if node, up, ok := p.h.opts.Status.Node(g.LoadBalancers[j].Name); ok {
				z.nodes, z.ups = append(z.nodes, node), append(z.ups, up)
				break
			}
		}
	}
	uses := map[string]int{}
	for i := range z.nodes {
		for _, s := range z.nodes[i].Sites {
			for _, b := range s.Backends {
				for _, pool := range append(slices.Clone(b.Slots), b.Pool) {
					uses[pool]++
				}
			}
		}
		for _, d := range compile.Divide(&z.nodes[i], p.at, z.ups[i], nil) {
			z.sites[d.Site] = append(z.sites[d.Site], d)
		}
	}
	var names []string
	for site, divisions := range z.sites {
		names = append(names, "Site/"+site)
		for _, d := range divisions {
			for _, part := range d.Parts {
				if uses[part.Pool] == 1 {
					z.own[part.Pool] = true
					names = append(names, "Pool/"+part.Pool)
				}
			}
		}
	}
	if p.h.opts.Series != nil {
		z.requests = p.h.opts.Series.Minute(names...)
	}
	return z
}

// counted gives the shares of a division as they are counted, in the order of its parts, and how many requests a second
// that is of; shares are nil where nothing came, and the rate is NaN when it is not known.
func (z *zoned) counted(d *compile.Division) (shares []float64, rate float64) {
	shares = make([]float64, len(d.Parts))
	for i, part := range d.Parts {
		t, ok := z.requests["Pool/"+part.Pool]
		if !z.own[part.Pool] || !ok || math.IsNaN(float64(t.Requests)) {
			return nil, math.NaN()
		}
		shares[i] = float64(t.Requests)
		rate += shares[i]
	}
	if rate <= 0 {
		return nil, rate
	}
	for i := range shares {
		shares[i] /= rate
	}
	return shares, rate
}

// rates gives how many requests a second each division of a site has, NaN when that is not known. Loads are the same to
// reckon with: what is known of the site alone is put evenly to those of which nothing is.
func (z *zoned) rates(site string) (rates, loads []float64) {
	divisions, whole := z.sites[site], z.rate(site)
	if len(divisions) == 1 {
		return []float64{whole}, []float64{whole}
	}
	left, unknown := whole, 0.0
	for i := range divisions {
		_, rate := z.counted(&divisions[i])
		rates = append(rates, rate)
		if math.IsNaN(rate) {
			unknown++
		} else {
			left -= rate
		}
	}
	loads = slices.Clone(rates)
	for i, rate := range rates {
		if math.IsNaN(rate) {
			loads[i] = max(left, 0) / unknown
		}
	}
	return rates, loads
}

// rate is how many requests a second a site has; NaN when that is not known.
func (z *zoned) rate(site string) float64 {
	if t, ok := z.requests["Site/"+site]; ok {
		return float64(t.Requests)
	}
	return math.NaN()
}

// matrix answers which zone serves how much of which site.
func (c *call) matrix() error {
	kind, _ := weir.KindByName("Site")
	query, err := c.rowsQuery(kind)
	if err != nil {
		return err
	}
	if err := MayList(c.who, kind, query.role); err != nil {
		return err
	}
	p := c.h.picture(c.who.Subject)
	c.revision = p.view.Revision
	z, columns := p.zones(), map[string]Point{}
	answer := Matrix{Revision: p.view.Revision, States: map[State]int{}, Zones: []MatrixZone{}, Rows: []MatrixRow{}}
	for _, l := range c.chosen(p, query, answer.States) {
		if z.sites[l.object.Metadata.Name] == nil {
			continue
		}
		row := p.matrixRow(z, l, columns)
		if answer.Total++; answer.Total > query.offset && len(answer.Rows) < query.limit {
			c.shiftedCells(p, l.object, &row)
			answer.Rows = append(answer.Rows, row)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		answer.Zones = append(answer.Zones, MatrixZone{Name: name, Capacity: capacityOf(p.view, name), Carries: columns[name]})
	}
	answer.Shifts = c.shiftsInForce(p)
	return c.answerTagged(answer)
}

// mostShifts bounds the ZoneShifts that are listed.
const mostShifts = 100

func (c *call) shiftsInForce(p *picture) (list []ShiftInForce) {
	for o := range p.view.All("ZoneShift") {
		spec := o.Spec.(*weir.ZoneShift)
		if len(list) < mostShifts && p.holds(spec) && c.may(o) == nil {
			list = append(list, ShiftInForce{c.shift(p, o), spec.Zone, spec.Sites, spec.Role, spec.All})
		}
	}
	return list
}

// shift tells of a ZoneShift what the caller may see.
func (c *call) shift(p *picture, o *weir.Object) (s CellShift) {
	if c.may(o) != nil {
		return s
	}
	spec := o.Spec.(*weir.ZoneShift)
	s.Name, s.Role, s.Reason = o.Metadata.Name, o.Metadata.Role, spec.Reason
	_, s.Until = spec.Window(p.view)
	if t, ok := c.h.touches.of(c.r.Context(), c.h.opts.Store, o.Revision); ok {
		s.By = t.By
	}
	return s
}

// plus adds what is known.
func plus(a, b Point) Point {
	switch {
	case math.IsNaN(float64(a)):
		return b
	case math.IsNaN(float64(b)):
		return a
	}
	return a + b
}

func capacityOf(view *weir.Set, zone string) int {
	if z := weir.Find[weir.Zone](view, "Zone", zone); z != nil {
		return z.Capacity
	}
	return 0
}

// matrixRow makes the row of a site, and adds what zones carry of it to the columns.
func (p *picture) matrixRow(z *zoned, l *line, columns map[string]Point) MatrixRow {
	o := l.object
	divisions := z.sites[o.Metadata.Name]
	row := MatrixRow{Site: o.Metadata.Name, Role: o.Metadata.Role, State: l.state, Why: l.why, Requests: Point(z.rate(o.Metadata.Name)), Parts: make([]MatrixPart, len(divisions))}
	rates, loads := z.rates(o.Metadata.Name)
	for i := range divisions {
		row.Parts[i] = p.matrixPart(z, &divisions[i], rates[i])
		for _, cell := range row.Parts[i].Cells {
			sum, ok := columns[cell.Zone]
			if !ok {
				sum = Point(math.NaN())
			}
			columns[cell.Zone] = plus(sum, Point(loads[i]*cell.Share))
		}
	}
	return row
}

func (p *picture) matrixPart(z *zoned, d *compile.Division, rate float64) MatrixPart {
	shares, _ := z.counted(d)
	out := MatrixPart{Group: d.Group, Backend: d.Backend, Requests: Point(rate), Counted: shares != nil, Cells: make([]MatrixCell, len(d.Parts))}
	for i, part := range d.Parts {
		cell := MatrixCell{Zone: part.Zone, Pool: part.Pool, Share: part.Now, Usual: part.Usual}
		if shares != nil {
			cell.Share = shares[i]
		}
		cell.Requests = Point(rate * cell.Share)
		if part.Whole > 0 {
			cell.Able = part.Able / part.Whole
		}
		if pool := p.of("Pool").byName[part.Pool]; pool != nil {
			if up := upOf(pool); up != nil {
				cell.Healthy, cell.Total = up.Up, up.Of
			}
		}
		out.Cells[i] = cell
	}
	return out
}

// shiftedCells says which cells a ZoneShift empties.
func (c *call) shiftedCells(p *picture, site *weir.Object, row *MatrixRow) {
	for _, o := range p.shiftsOf(site) {
		zone, s := o.Spec.(*weir.ZoneShift).Zone, c.shift(p, o)
		for _, part := range row.Parts {
			for i := range part.Cells {
				if part.Cells[i].Zone == zone {
					part.Cells[i].Shifted = &s
				}
			}
		}
	}
}
