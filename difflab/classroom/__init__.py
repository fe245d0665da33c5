"""The classroom: sheets of the chapters, and the grading of what comes back.

`release` makes the sheets to hand out, `look` says what is wrong with the files handed in, `grade` runs and scores
them. A thin layer over nbgrader (https://nbgrader.readthedocs.io), which the extra "teach" installs; nothing here
imports it before it is needed.

Of nbgrader's own pieces these do the work: its preprocessors make the sheets, its checksums find changed
cells, its `determine_grade` turns a cell's outputs into points, its template shows the feedback. Three do not fit, and
have a counterpart here: its database (a batch is a folder of small result files), its `OverwriteCells` (it puts the
teacher's checks into the student's notebook and trusts the metadata there; here the answers are taken out, and run with
the teacher's checks), and its `Execute` (a kernel for each submission, with the network and all files open to it).
"""

from difflab.classroom.chapter import Chapter, Exercise, private_template, read_chapter
from difflab.classroom.grading import grade
from difflab.classroom.release import release
from difflab.classroom.submissions import Submission, look

__all__ = ["Chapter", "Exercise", "Submission", "grade", "look", "private_template", "read_chapter", "release"]
