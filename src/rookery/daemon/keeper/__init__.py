"""The keeper: parent of everything, decides nothing. Standard library only.

    rook ──starts──► keeper ══fork══► manager      (again when it dies)
                       ║  ══fork══► collector    (again when it dies)
                       ╚═ ══fork══► apps         (when the manager says so)

It holds what must outlive a manager: the children, their exit statuses until they are acknowledged, log pipes and
listening sockets.
"""
