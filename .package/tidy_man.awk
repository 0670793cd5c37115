# scdoc writes paragraph macros where they mean nothing (around headings, at the end of an indented
# part), and mandoc warns of each: this drops or moves them. The rendering stays as it is.
/^\.P$/ { if (!after_heading) paragraph = 1; next }
/^\.RE$/ { print; next }
/^\.S[HS]/ { paragraph = 0 }
paragraph { print ".P"; paragraph = 0 }
{ print; after_heading = /^\.(S[HS]|TH)/ }
