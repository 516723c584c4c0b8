package api

import (
	"encoding/json"
	"math"
	"strconv"
)

// Point is a value of a figure; what is no number is not known, and null in JSON.
type Point float64

// PointsOf gives values as points.
func PointsOf(values []float64) []Point {
	points := make([]Point, len(values))
	for i, v := range values {
		points[i] = Point(v)
	}
	return points
}

// MarshalJSON writes five digits, which is more than anything here is known by.
func (p Point) MarshalJSON() ([]byte, error) {
	if v := float64(p); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, rounded(v), 'f', -1, 64), nil
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads null as what is not known.
func (p *Point) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*p = Point(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(p))
}

func rounded(v float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	if err != nil {
		return v
	}
	return short
}

// Traffic is what an object did lately, for lists.
type Traffic struct {
	// Requests a second, the share of those that were answered with a status of 500 to 599, and the milliseconds that 95 %
	// took no longer than, in the last minute.
	Requests   Point `json:"requests"`
	ErrorRatio Point `json:"errorRatio"`
	P95MS      Point `json:"p95Ms"`
	// Spark are requests a second, ErrorSpark shares of errors, of the last hour in thirty points of two minutes, the
	// oldest first.
	Spark      []Point `json:"spark,omitempty"`
	ErrorSpark []Point `json:"errorSpark,omitempty"`
}
