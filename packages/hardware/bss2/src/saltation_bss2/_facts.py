"""What the chip can do, as numbers: times in microseconds of the chip, potentials in units of its 8-bit ADC.

Pehle et al., "The BrainScaleS-2 accelerated neuromorphic system with hybrid plasticity", Frontiers in Neuroscience
2022; the delays: Göltz et al., "DelGrad", Nature Communications 2025.
"""

NEURONS = 512
HEMISPHERES = 2
COLUMNS = NEURONS // HEMISPHERES
ROWS = 256
# The sign belongs to the row, so a signed weight takes two.
SIGNED_FAN_IN = ROWS // 2

MAX_WEIGHT = 63

TAU_MEM = (0.5, 60.0)
TAU_SYN = (0.3, 30.0)
REFRACTORY = (0.04, 32.0)

LEAK = (50, 160)
RESET = (50, 160)
THRESHOLD = (50, 220)
RELIABLE = (30, 210)
TYPICAL_LEAK, TYPICAL_THRESHOLD = 80, 150
# What a threshold above the leak is worth on the ADC; noise and spreads are quoted in these units.
CADC_PER_THRESHOLD = TYPICAL_THRESHOLD - TYPICAL_LEAK

STAMP = 0.008
LATENESS = 0.08

SHORTEST_DELAY, LONGEST_DELAY, DELAY_STEP = 8.25, 33.25, 0.125
DELAY_SPAN = LONGEST_DELAY - SHORTEST_DELAY

SAMPLE_PERIOD, MAX_SAMPLES = 1.7, 100

# A packet that follows another one within so many cycles of the link is lost now and then.
BURST = 10 * STAMP

# Bias currents and other analog settings are stored in 10 bits.
BIAS_LEVELS = 1023
