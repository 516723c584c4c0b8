package api

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

// ShiftRequest asks what a ZoneShift would do: of some sites, of a role's, or of all.
type ShiftRequest struct {
	Sites []string `json:"sites,omitempty"`
	Role  string   `json:"role,omitempty"`
	All   bool     `json:"all,omitempty"`
	// Zone is the one that their traffic would leave.
	Zone string `json:"zone"`
}

// ShiftPreview is what a ZoneShift would do.
type ShiftPreview struct {
	Revision int64       `json:"revision"`
	Sites    []SiteShift `json:"sites"`
	// Moves counts the sites of which something moves, Stay those of which nothing can.
	Moves int `json:"moves"`
	Stay  int `json:"stay,omitempty"`
	// LeftOut counts those of Sites that there is no room for; the zones and Moves count them.
	LeftOut int         `json:"leftOut,omitempty"`
	Zones   []ZoneShare `json:"zones"`
	// Warnings are those that come with a ZoneShift that does the same, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// SiteShift is a site's shares by zone, before and after: of each of its backends with pools of zones, in each group that has
// them.
type SiteShift struct {
	Site     string             `json:"site"`
	Group    string             `json:"group"`
	Backend  string             `json:"backend"`
	Requests Point              `json:"requests"`
	Counted  bool               `json:"counted,omitempty"`
	Before   map[string]float64 `json:"before"`
	After    map[string]float64 `json:"after"`
	// Stays says that nothing moves, since no other zone is available, or the site has no pool of the zone alone.
	Stays bool `json:"stays,omitempty"`
}

// ZoneShare is what a zone carries of these sites, before and after, in requests a second; null where those are not known.
type ZoneShare struct {
	Name   string `json:"name"`
	Before Point  `json:"before"`
	After  Point  `json:"after"`
	// Healthy of Total servers of these sites' pools in the zone are up.
	Healthy  int `json:"healthy"`
	Total    int `json:"total"`
	Capacity int `json:"capacity,omitempty"`
	// Holds says that the zone can take it by the rule that all zones with all their servers are sized so that one may go;
	// Why says what it would carry else, in per cent of what it can: Carries.
	Holds   bool   `json:"holds"`
	Carries int    `json:"carries,omitempty"`
	Why     string `json:"why,omitempty"`
}

// mostShifted bounds the sites of one preview.
const mostShifted = 500

// previewShift tells what a ZoneShift would do.
func (c *call) previewShift() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	req, err := c.shiftRequest()
	if err != nil {
		return err
	}
	p := c.h.picture(c.who.Subject)
	c.revision = p.view.Revision
	sites, err := c.shiftedSites(p, &req)
	if err != nil {
		return err
	}
	z := p.zones()
	shift := ir.Shift{Sites: sites, Zone: req.Zone, ExpiresAt: p.at.Add(time.Hour)}
	answer := ShiftPreview{Revision: p.view.Revision, Sites: []SiteShift{}, Zones: []ZoneShare{}}
	divisions := map[string][]compile.Division{}
	for i := range z.nodes {
		for _, d := range compile.Divide(&z.nodes[i], p.at, z.ups[i], &shift) {
			divisions[d.Site] = append(divisions[d.Site], d)
		}
	}
	zones, counted := map[string]*ZoneShare{}, map[string]bool{}
	for _, site := range sites {
		rates, loads := z.rates(site)
		moves := false
		for i, d := range divisions[site] {
			one := z.shiftOf(&d, req.Zone)
			one.Requests = Point(rates[i])
			moves = moves || !one.Stays
			p.addZones(zones, counted, &d, &one, loads[i])
			if len(answer.Sites) == mostShifted {
				answer.LeftOut++
				continue
			}
			answer.Sites = append(answer.Sites, one)
		}
		if moves {
			answer.Moves++
		} else {
			answer.Stay++
		}
	}
	leaving := compile.LeaveNodes(p.view, z.nodes, shift, p.at)
	if len(req.Sites) == 0 {
		leaving.Unmoved = nil // as of a ZoneShift that names none
	}
	answer.Warnings = leaving.Words(req.Zone)
	for _, b := range leaving.Burdens {
		if zone := zones[b.Zone]; zone != nil {
			zone.Holds, zone.Carries = false, b.Carries
			zone.Why = fmt.Sprintf("it would carry %d%% of what it can", b.Carries)
			if b.Site != "" {
				zone.Why += " of Site/" + b.Site
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		answer.Zones = append(answer.Zones, *zones[name])
	}
	return c.answer(http.StatusOK, answer)
}

// maxShiftBody bounds the body of a preview.
const maxShiftBody = 256 << 10

func (c *call) shiftRequest() (req ShiftRequest, err error) {
	asJSON, err := c.bodyType()
	if err != nil {
		return req, err
	}
	text, err := c.body(maxShiftBody, objectWithin)
	if err != nil {
		return req, err
	}
	return req, c.small(text, asJSON, &req)
}

// shiftedSites names the sites that are asked about, sorted; the caller must see each.
func (c *call) shiftedSites(p *picture, req *ShiftRequest) (sites []string, err error) {
	given := 0
	for _, is := range []bool{len(req.Sites) > 0, req.Role != "", req.All} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, invalid("say whose traffic: sites, role or all, just one of them")
	case p.view.Get(weir.Ref{Kind: "Zone", Name: req.Zone}) == nil:
		return nil, invalid("zone must name a Zone that there is")
	case req.Role != "" && !c.who.Holds(weir.Viewer, req.Role):
		return nil, weir.Errorf(weir.Forbidden, "a preview of role %q takes the right viewer on it, which %s does not have", shorten(req.Role), c.who.Subject)
	case req.All && !c.who.Holds(weir.Viewer, ""):
		return nil, weir.Errorf(weir.Forbidden, "a preview of all sites takes the right viewer on role \"*\", which %s does not have", c.who.Subject)
	case len(req.Sites) > 1000:
		return nil, invalid("a preview is of 1000 named sites at most; name a role, or all")
	}
	for _, name := range req.Sites {
		ref := weir.Ref{Kind: "Site", Name: name}
		o := p.view.Get(ref)
		if o == nil {
			return nil, c.noSuch(ref)
		}
		if err := c.may(o); err != nil {
			return nil, err
		}
		sites = append(sites, name)
	}
	if len(req.Sites) == 0 {
		for o := range p.view.All("Site") {
			if req.All || o.Metadata.Role == req.Role {
				sites = append(sites, o.Metadata.Name)
			}
		}
	}
	slices.Sort(sites)
	return slices.Compact(sites), nil
}

// shiftOf gives the shares of a division before and after. Where they are counted, what leaves goes to the others as it is worked
// out that it would.
func (z *zoned) shiftOf(d *compile.Division, zone string) SiteShift {
	counted, _ := z.counted(d)
	s := SiteShift{Site: d.Site, Group: d.Group, Backend: d.Backend, Counted: counted != nil, Before: map[string]float64{}, After: map[string]float64{}, Stays: true}
	gains, leaves := 0.0, 0.0
	for i, part := range d.Parts {
		if counted == nil {
			s.Before[part.Zone], s.After[part.Zone] = part.Now, part.Then
		} else {
			s.Before[part.Zone], s.After[part.Zone] = counted[i], counted[i]
		}
		gains += max(0, part.Then-part.Now)
		if part.Zone == zone {
			s.Stays, leaves = d.Stays, s.Before[zone]
		}
	}
	if counted == nil || s.Stays || gains == 0 {
		return s
	}
	for _, part := range d.Parts {
		s.After[part.Zone] += leaves * max(0, part.Then-part.Now) / gains
	}
	s.After[zone] = 0
	return s
}

// addZones adds a division with so many requests a second to what zones carry; counted are the pools that are added already.
func (p *picture) addZones(zones map[string]*ZoneShare, counted map[string]bool, d *compile.Division, s *SiteShift, load float64) {
	pools := p.of("Pool").byName
	for _, part := range d.Parts {
		z := zones[part.Zone]
		if z == nil {
			z = &ZoneShare{Name: part.Zone, Before: Point(math.NaN()), After: Point(math.NaN()), Capacity: capacityOf(p.view, part.Zone), Holds: true}
			zones[part.Zone] = z
		}
		z.Before = plus(z.Before, Point(load*s.Before[part.Zone]))
		z.After = plus(z.After, Point(load*s.After[part.Zone]))
		if l := pools[part.Pool]; l != nil && !counted[part.Pool] {
			counted[part.Pool] = true
			if up := upOf(l); up != nil {
				z.Healthy, z.Total = z.Healthy+up.Up, z.Total+up.Of
			}
		}
	}
}
